/** What a shell offers that only carport knows: pins and caches. */

import { join } from 'node:path';
import { parseCacheUrl } from '../../cache/cache-url.js';
import { canonicalUrl, openCache } from '../../cache/open.js';
import { readPinList } from '../../cache/pins/list.js';
import { isPinName } from '../../cache/pins/pin.js';
import { listPinNames } from '../../cache/pins/pins.js';
import { namesIn } from '../../lib/filesystem/exists.js';
import { readSmallFile } from '../../lib/filesystem/small-files.js';
import { stateDirectory } from '../../lib/state-directory.js';
import type { Context } from '../cli/context.js';
import { redact } from '../cli/redact.js';
import { readSettings } from '../settings/read.js';
import type { Setting } from '../settings/setting.js';

/** What can be asked for. */
type Kind = 'pins' | 'caches';

/** Somebody waits with a finger on the key. */
const PATIENCE_MS = 500;

/** Notes of pins that are read, and their size. */
const MOST_NOTES = 2000;
const MAX_NOTE = 8 * 1024;

/** A cache, and whether a server may be asked. */
interface Source {
  readonly text: string;
  readonly mayAsk: boolean;
}

/**
 * What is known within half a second, sorted. Nothing is ever said of what goes wrong. Of caches that only the `carport.toml` of a
 * checkout names no server is asked: whoever wrote it must not learn that somebody presses a key there.
 */
export async function findCandidates(
  kind: Kind,
  cache: string | undefined,
  context: Context,
): Promise<readonly string[]> {
  const found = new Set<string>();
  const giveUp = new AbortController();
  const work = gather(kind, cache, context, found, giveUp.signal).catch(() => undefined);
  const timer = new Promise<void>((resolve) => {
    const timeout = setTimeout(resolve, PATIENCE_MS);
    work.finally(() => clearTimeout(timeout) ?? resolve());
  });
  await timer;
  giveUp.abort();
  return [...found].sort();
}

async function gather(
  kind: Kind,
  cache: string | undefined,
  context: Context,
  found: Set<string>,
  signal: AbortSignal,
): Promise<void> {
  const sources = cache ? [{ text: cache, mayAsk: true }] : await configured(context);
  if (kind === 'caches') {
    for (const { text } of sources) if (/^[\x21-\x7e]+$/.test(text) && redact(text) === text) found.add(text);
    return;
  }
  const add = (names: readonly string[]) => {
    for (const name of names) if (isPinName(name)) found.add(name);
  };
  const urls = sources.flatMap(({ text }) => canonical(text, context));
  const remembered = rememberedPins(context).then((notes) =>
    add(notes.filter(({ url }) => urls.length === 0 || urls.includes(url)).map(({ name }) => name)),
  );
  await Promise.allSettled([remembered, ...sources.map(async (source) => add(await pinsOf(source, context, signal)))]);
}

async function configured(context: Context): Promise<readonly Source[]> {
  const { cache, to, from } = await readSettings({}, context);
  const isForeign = ({ origin }: Setting<unknown>) => origin.isProject === true;
  const all = [from, cache, to].flatMap((setting) =>
    setting.texts.map((text) => ({ text, mayAsk: !isForeign(setting) })),
  );
  return [...new Map(all.map((source) => [source.text, source])).values()];
}

function canonical(text: string, { env }: Context): readonly string[] {
  try {
    return [canonicalUrl(parseCacheUrl(text), env)];
  } catch {
    return [];
  }
}

/** The names of a cache's pins: those of a bucket would need a key, and time, and are not asked for. */
async function pinsOf({ text, mayAsk }: Source, { env }: Context, signal: AbortSignal): Promise<readonly string[]> {
  const url = parseCacheUrl(text);
  const { kind } = url.location;
  if (kind === 's3' || (kind === 'http' && !mayAsk)) return [];
  const { objects } = openCache(url, { env, signal, patienceMs: 0 });
  try {
    return kind === 'file' ? await listPinNames(objects) : ((await readPinList(objects))?.names ?? []);
  } finally {
    await objects.close();
  }
}

/** The pins that were taken here, with their caches: notes say `NAME in URL`. */
async function rememberedPins({ env }: Context): Promise<readonly { readonly name: string; readonly url: string }[]> {
  const directory = join(stateDirectory(env), 'pins');
  const places = (await namesIn(directory)).slice(0, MOST_NOTES);
  const notes = await Promise.all(places.map((place) => readNote(join(directory, place)).catch(() => '')));
  return notes.flatMap((note) => {
    const [, name, url] = /^(\S+) in (\S+)\n?$/.exec(note) ?? [];
    return name !== undefined && url !== undefined ? [{ name, url }] : [];
  });
}

async function readNote(place: string): Promise<string> {
  const [time] = await namesIn(place);
  return time === undefined ? '' : ((await readSmallFile(join(place, time), MAX_NOTE))?.toString() ?? '');
}
