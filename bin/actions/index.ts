import { open, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { type IndexFile, type IndexOptions, makeIndexFiles } from '../../index-generator/index-files.js';
import { CarportError, isErrno } from '../../lib/errors.js';
import { makeDirectory } from '../../lib/filesystem/make-directory.js';
import { makeWhole } from '../../lib/filesystem/whole.js';
import { channelRule } from '../../release/version.js';
import { settingsOf } from '../command.js';
import { type CommonOptions, type Context, note, say, writeJson, writeLines } from '../context.js';
import { printable } from '../printable.js';
import { singleValue } from '../settings.js';
import { openSource } from '../source.js';
import { count } from '../terminal.js';

/** A bucket that is used for other things, too, would fill the log. */
const WARNINGS_SHOWN = 20;

const PIECE = 256 * 1024;

export interface BuildIndexOptions extends CommonOptions {
  readonly fromListing: string;
  readonly out: string;
  readonly baseUrl?: string;
  readonly compat?: 'garage';
}

export async function build(options: BuildIndexOptions, context: Context): Promise<void> {
  const { fromListing, out, baseUrl, compat } = options;
  const { 'stable-pattern': pattern } = await settingsOf({ ...options }, context);
  const indexOptions: IndexOptions = {
    channelOf: channelRule(singleValue(pattern), pattern.origin),
    ...(baseUrl !== undefined && { baseUrl: parseBaseUrl(baseUrl) }),
    ...(compat && { compat }),
  };
  const listing = await buffer(await openSource(fromListing, context));
  const { files, warnings } = makeIndexFiles(new TextDecoder().decode(listing), indexOptions);
  for (const warning of warnings.slice(0, WARNINGS_SHOWN)) say(context, `${printable(`warning: ${warning}`)}\n`);
  const more = warnings.length - WARNINGS_SHOWN;
  if (more > 0) say(context, `warning: ${count(more, 'more warning')}; \`--json\` prints all\n`);
  const written: string[] = [];
  for (const file of files) if (await writeChanged(out, file)) written.push(join(out, file.key));
  const unchanged = files.map(({ key }) => join(out, key)).filter((path) => !written.includes(path));
  if (options.json) return writeJson(context.stdout, { written, unchanged, warnings });
  if (unchanged.length > 0) note(context, options, `unchanged: ${unchanged.join(', ')}`);
  await writeLines(context.stdout, written);
}

/** Writes a file, unless it is there with this content; says whether it did. */
async function writeChanged(out: string, { key, content }: IndexFile): Promise<boolean> {
  const path = join(out, key);
  const bytes = Buffer.from(content);
  if (await hasContent(path, bytes)) return false;
  await makeDirectory(dirname(path));
  await makeWhole(path, (temporary) => writeFile(temporary, bytes, { flag: 'wx' }));
  return true;
}

/** Compares in pieces: an index may be large. */
async function hasContent(path: string, bytes: Buffer): Promise<boolean> {
  const file = await open(path).catch((error) => {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  });
  if (!file) return false;
  try {
    const piece = Buffer.allocUnsafe(PIECE);
    for (let offset = 0; ; ) {
      const { bytesRead } = await file.read(piece, 0, PIECE);
      if (bytesRead === 0) return offset === bytes.length;
      if (!piece.subarray(0, bytesRead).equals(bytes.subarray(offset, offset + bytesRead))) return false;
      offset += bytesRead;
    }
  } finally {
    await file.close();
  }
}

/** With a `/` at the end. */
function parseBaseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain =
    url && /^https?:$/.test(url.protocol) && `${url.username}${url.password}${url.search}${url.hash}` === '';
  if (!isPlain) {
    throw new CarportError('E_USAGE', '`--base-url` is not the address of a web site', {
      hint: 'give one such as `https://releases.example.org/`, without a password or a query',
    });
  }
  return url.href.endsWith('/') ? url.href : `${url.href}/`;
}
