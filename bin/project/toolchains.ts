/** The toolchains that a project's `carport.toml` names. */

import { dirname, join } from 'node:path';
import type { CacheUrl } from '../../cache/cache-url.js';
import { isPinName } from '../../cache/pins/pin.js';
import { type PinReference, parsePinReference } from '../../cache/pins/reference.js';
import { LOCK_LIMITS } from '../../cache/toolchains/lock-file.js';
import { CarportError } from '../../lib/errors.js';
import { hideLikelyPasswords } from '../../lib/hide-passwords.js';
import { misplacedKey } from '../../lib/signing/misplaced-key.js';
import { hasSecretKey } from '../../lib/signing/secret-form.js';
import { suggestion } from '../../lib/suggestion.js';
import { type Context, workingDirectory } from '../cli/context.js';
import { cacheUrl } from '../settings/addresses.js';
import { namesSecretKey, readProjectFile } from '../settings/config-file.js';

/** A cache that a project names, and its text without passwords. */
export interface ProjectCache {
  readonly name: string;
  readonly url: CacheUrl;
}

/** A toolchain of a project. */
export interface Toolchain {
  readonly name: string;
  readonly pin: PinReference;
  /** Where it is pulled from; none where that is for the settings to say. */
  readonly caches: readonly ProjectCache[];
}

/** A project that names toolchains. */
export interface Project {
  /** Where its `carport.toml` is. */
  readonly directory: string;
  readonly file: string;
  readonly lockFile: string;
  /** In the order of the file. */
  readonly toolchains: readonly Toolchain[];
}

/** The project that the working directory is in; `undefined` where it names no toolchains. Throws `E_USAGE`. */
export async function readProject(context: Pick<Context, 'cwd'>): Promise<Project | undefined> {
  const found = await readProjectFile(workingDirectory(context));
  if (found?.tables.toolchains === undefined) return undefined;
  const {
    file,
    tables: { toolchains },
  } = found;
  const directory = dirname(file);
  return { directory, file, lockFile: join(directory, 'carport.lock'), toolchains: parseToolchains(toolchains, file) };
}

/** The same, where there must be one. */
export async function requireProject(context: Pick<Context, 'cwd'>): Promise<Project> {
  const project = await readProject(context);
  if (project && project.toolchains.length > 0) return project;
  const where = project ? `\`${project.file}\`` : 'a `carport.toml` of this directory or above it';
  throw new CarportError('E_USAGE', `no toolchain is named in ${where}`, {
    hint: 'write `[toolchains]` and a line `NAME = "PIN"` into the `carport.toml` of the project',
  });
}

/** Those of the names, in their order; all of them where none is named. Throws `E_USAGE` for one that there is not. */
export function chooseToolchains({ file, toolchains }: Project, names: readonly string[]): readonly Toolchain[] {
  if (names.length === 0) return toolchains;
  return [...new Set(names)].map((name) => {
    const found = toolchains.find((toolchain) => toolchain.name === name);
    if (found) return found;
    throw new CarportError('E_USAGE', `\`${name}\` is no toolchain of \`${file}\``, {
      hint: suggestion(
        name,
        toolchains.map((toolchain) => toolchain.name),
      ),
    });
  });
}

/** The toolchains of the table `[toolchains]`; `file` is for errors. */
export function parseToolchains(table: unknown, file: string): readonly Toolchain[] {
  if (!isTable(table))
    throw wrong(file, '`toolchains` is no table', 'write `[toolchains]`, and below it `NAME = "PIN"`');
  if (hasSecretKey(JSON.stringify(table))) throw misplacedKey(`\`toolchains\` in \`${file}\``);
  const entries = Object.entries(table);
  if (entries.length > LOCK_LIMITS.toolchains)
    throw wrong(file, `there are more than ${LOCK_LIMITS.toolchains} toolchains`);
  return entries.map(([name, value]) => parseToolchain(name, value, file));
}

/** Names of JSON objects that are not their own. */
const TAKEN = ['constructor', 'prototype'];

function parseToolchain(name: string, value: unknown, file: string): Toolchain {
  if (!isPinName(name) || TAKEN.includes(name)) {
    throw wrong(
      file,
      `\`${name}\` cannot be the name of a toolchain`,
      'use letters, digits and `._+-`, a letter or digit first',
    );
  }
  const place = `toolchains.${name}`;
  const { pin, cache = [], ...others } = isTable(value) ? value : { pin: value };
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) {
    throw wrong(file, `\`${place}\` has the unknown field \`${unknown}\``, suggestion(unknown, ['pin', 'cache']));
  }
  if (typeof pin !== 'string') throw wrong(file, `\`${place}\` names no pin`, `write \`${name} = "PIN"\``);
  const texts = Array.isArray(cache) ? cache : [cache];
  return { name, pin: parsePin(pin, place, file), caches: texts.map((text) => parseCache(text, place, file)) };
}

function parsePin(text: string, place: string, file: string): PinReference {
  const reference = parsePinReference(text);
  if (reference && text.length <= LOCK_LIMITS.text) return reference;
  throw wrong(
    file,
    `\`${place}\`: \`${text.slice(0, LOCK_LIMITS.text)}\` is no pin`,
    'give the name of a pin, such as `toolchain` or `toolchain@2026-11-01`',
  );
}

function parseCache(text: unknown, place: string, file: string): ProjectCache {
  if (typeof text !== 'string' || text.length > LOCK_LIMITS.text) {
    throw wrong(file, `\`cache\` of \`${place}\` is not a text`, 'give the URL of a cache, or a list of them');
  }
  if (namesSecretKey(text)) {
    throw wrong(file, `\`${place}\` may not name a secret key`, 'a project must not choose what you sign with');
  }
  // A project's own directory does not depend on where carport is run.
  const url = cacheUrl(/^\.{1,2}\//.test(text) ? join(dirname(file), text) : text, `${place} in ${file}`);
  return { name: hideLikelyPasswords(text), url };
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function wrong(file: string, message: string, hint?: string): CarportError {
  return new CarportError('E_USAGE', `${message} (\`${file}\`)`, { hint });
}
