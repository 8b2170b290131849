/**
 * Reads what `aws s3 ls --recursive` prints of a bucket. Whatever is in it, there is no failure: the refresh of a
 * page must not stop for one odd line. What is left out is told.
 */

import { aboutKey, type Notice } from '../lib/notice.js';
import { FILES } from '../release/layout.js';
import type { ListedFile } from '../release/sources/listed.js';
import { type ReleaseSources, sourcesOfFiles } from '../release/sources/sources.js';

/** Exactly one space is before the key; the key may begin with more. */
const LINE = /^\s*(\d{4}-\d\d-\d\d)\s+(\d\d:\d\d:\d\d)\s+(\d{1,15}) (.+)$/s;

/** Lines that are no objects: directories of a listing without `--recursive`, and what `--summarize` adds. */
const NO_OBJECT = /^\s*(PRE .*|Total Objects: .*|Total Size: .*)?$/s;

/** Reads a listing: each key once, in its order. Objects outside of `_releases/` are passed over. */
export function readListing(text: string): ReleaseSources {
  const files = new Map<string, ListedFile>();
  const warnings: Notice[] = [];
  const elsewhere: string[] = [];
  let number = 0;
  for (const each of linesOf(text)) {
    number++;
    const line = withoutReturn(each);
    if (NO_OBJECT.test(line)) continue;
    const file = readLine(line);
    if (!file)
      warnings.push({ message: `line ${number}: \`${line.slice(0, 200)}\` is no line of \`aws s3 ls --recursive\`` });
    else if (file.key.startsWith(FILES)) {
      if (files.has(file.key)) warnings.push(aboutKey(file.key, `line ${number}: \`${file.key}\` is listed twice`));
      files.set(file.key, file);
    } else if (file.key.includes(`/${FILES}`)) elsewhere.push(file.key);
  }
  const [odd] = elsewhere;
  if (files.size === 0 && odd !== undefined) {
    const directory = odd.slice(0, odd.indexOf(`/${FILES}`) + 1);
    warnings.push({
      message: `no key begins with \`${FILES}\`, but keys below \`${directory}${FILES}\` are listed: make the index of that directory with \`--from\`, or take \`${directory}\` off the keys of the listing`,
    });
  }
  return { ...sourcesOfFiles([...files.values()]), warnings };
}

/** The line of a file, as the AWS command line prints it. */
export function renderListedFile({ key, size, time }: ListedFile): string {
  return `${time.slice(0, 10)} ${time.slice(11, 19)} ${size} ${key}`;
}

/** The lines of a text, one after the other: there may be very many. */
export function* linesOf(text: string): Generator<string> {
  for (let start = 0; start <= text.length; ) {
    const newline = text.indexOf('\n', start);
    const end = newline === -1 ? text.length : newline;
    yield text.slice(start, end);
    start = end + 1;
  }
}

/** Also of a text that was on Windows. */
function withoutReturn(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line;
}

function readLine(line: string): ListedFile | undefined {
  const match = LINE.exec(line);
  if (!match) return undefined;
  const [, date, time, size, key] = match as unknown as [string, string, string, string, string];
  return { key, size: Number(size), time: `${date}T${time}Z` };
}
