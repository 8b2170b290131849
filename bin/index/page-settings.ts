/** What settings say of the page of releases: its colours, and the picture beside its heading. */

import { realpath } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Theme } from '../../index-generator/html/theme.js';
import { CarportError } from '../../lib/errors.js';
import { readSmallFile } from '../../lib/filesystem/small-files.js';
import { type Context, workingDirectory } from '../cli/context.js';
import { createSetting, isGiven, type Settings } from '../settings/setting.js';
import { LOGO_LIMIT, LOGO_URL } from '../settings/values.js';

type LogoSetting = Settings['logo'];

/** The colours that are set. */
export function themeOf(settings: Pick<Settings, 'accent-color' | 'accent-color-dark'>): Theme {
  const accent = settings['accent-color'].value;
  const accentDark = settings['accent-color-dark'].value;
  return { ...(accent !== undefined && { accent }), ...(accentDark !== undefined && { accentDark }) };
}

/**
 * The settings with the picture itself in place of the name of its file: a `data:` URL, as it is on the page and remembered. A
 * file that a `carport.toml` names is beside that, any other in the working directory. Throws `E_USAGE` for what is no picture.
 */
export async function withLogo<S extends { readonly logo: LogoSetting }>(settings: S, context: Context): Promise<S> {
  const { logo } = settings;
  const { value } = logo;
  if (!isGiven(logo) || value === undefined || LOGO_URL.test(value)) return settings;
  const { kind, name, isProject } = logo.origin;
  const directory = kind === 'file' ? dirname(name) : workingDirectory(context);
  const path = resolve(directory, value);
  const picture = await readPicture(isProject ? await pathWithin(directory, path, value) : path, value);
  return { ...settings, logo: createSetting('logo', [picture], logo.origin) };
}

/** The path without links, where it is in the project: its file must not name what else is on the machine. */
async function pathWithin(directory: string, path: string, name: string): Promise<string> {
  const real = await realpath(path).catch(() => undefined);
  const top = await realpath(directory);
  // Of what is elsewhere nothing is told, not even whether it is there.
  const isWithin = (each: string, above: string) => each.startsWith(above === '/' ? above : `${above}/`);
  if (isWithin(path, directory) && (real === undefined || isWithin(real, top))) return real ?? path;
  throw new CarportError('E_USAGE', `the logo \`${name}\` is not in the directory of the project`, {
    hint: 'a `carport.toml` names a file beside it or below; `--logo FILE` may be anywhere',
  });
}

async function readPicture(path: string, name: string): Promise<string> {
  const wrong = (why: string, cause?: unknown) =>
    new CarportError('E_USAGE', `the logo \`${name}\` ${why}`, {
      cause,
      hint: `give an SVG or PNG file of at most ${LOGO_LIMIT / 1024} KiB: it is a part of the page`,
    });
  let bytes: Buffer | undefined;
  try {
    bytes = await readSmallFile(path, LOGO_LIMIT);
  } catch (error) {
    throw wrong('cannot be taken', error);
  }
  if (bytes === undefined) throw wrong('is not there');
  const type = pictureType(bytes);
  if (type === undefined) throw wrong('is neither SVG nor PNG');
  return `data:${type};base64,${bytes.toString('base64')}`;
}

/** By what is in it: a file of another kind, whatever it is called, must not become public. */
function pictureType(bytes: Buffer): 'image/png' | 'image/svg+xml' | undefined {
  if (bytes.subarray(0, 8).equals(Buffer.from('89504e470d0a1a0a', 'hex'))) return 'image/png';
  const text = bytes.toString('utf8').replace(/^\u{feff}/u, '');
  return isSvg(text) ? 'image/svg+xml' : undefined;
}

/** What may come before the element of a picture. */
const BEFORE = /\s+|<\?xml[^>]*\?>|<!--[\s\S]*?-->|<!DOCTYPE\s[^>[]*(?:\[[^\]]*\]\s*)?>/iy;

/** Piece by piece: one expression for all of the beginning would try all ways to divide it. */
function isSvg(text: string): boolean {
  let start = 0;
  for (let length: number | undefined = 0; length !== undefined; ) {
    start += length;
    BEFORE.lastIndex = start;
    length = BEFORE.exec(text)?.[0].length;
  }
  const begins = /^<(?:svg|svg:svg)[\s>/]/i.test(text.slice(start, start + 9));
  return begins && /<\/(?:svg|svg:svg)\s*>\s*$|\/>\s*$/i.test(text);
}
