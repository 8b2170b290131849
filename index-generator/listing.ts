/**
 * Reads what `aws s3 ls --recursive` prints of a bucket. Whatever is in it, there is no failure: the refresh of a page must not
 * stop for one odd key. What is left out is told.
 */

/** An object of a bucket, as a listing tells it. */
export interface ListingEntry {
  /** Such as `_releases/v1.2.0/x86_64-unknown-linux-musl/garage`. */
  readonly key: string;
  /** Bytes. */
  readonly size: number;
  /** When the object was last written: RFC 3339, in UTC. A second upload of the same bytes moves it. */
  readonly time: string;
  readonly version: string;
  readonly target: string;
  readonly name: string;
}

export interface Listing {
  /** The files of releases, in the order of the listing, each key once. */
  readonly entries: readonly ListingEntry[];
  /** What was left out, and why. */
  readonly warnings: readonly string[];
}

const RELEASES = '_releases/';

/** Exactly one space is before the key; the key may begin with more. */
const LINE = /^\s*(?<date>\d{4}-\d\d-\d\d)\s+(?<time>\d\d:\d\d:\d\d)\s+(?<size>\d{1,15}) (?<key>.+)$/s;

/** Lines that are no objects: directories of a listing without `--recursive`, and what `--summarize` adds. */
const NO_OBJECT = /^\s*(PRE .*|Total Objects: .*|Total Size: .*)?$/s;

/** Files about a file. They are not builds of their own. */
const SIDECAR = /\.(asc|md5|minisig|sha1|sha256|sha256sum|sha512|sha512sum|sig)$/;

/** Reads a listing. Objects outside of `_releases/` are passed over. */
export function parseListing(text: string): Listing {
  const entries = new Map<string, ListingEntry>();
  const warnings: string[] = [];
  let number = 0;
  for (const line of linesOf(text)) {
    number++;
    if (NO_OBJECT.test(line)) continue;
    const read = readLine(line);
    if (typeof read === 'string') warnings.push(`line ${number}: ${read}`);
    else if (read) {
      if (entries.has(read.key)) warnings.push(`line ${number}: \`${read.key}\` is listed twice`);
      entries.set(read.key, read);
    }
  }
  if (entries.size === 0)
    warnings.push(`the listing has no release: no object is at \`${RELEASES}VERSION/TARGET/FILE\``);
  return { entries: [...entries.values()], warnings };
}

/** The lines of a text, also of one that was on Windows, one after the other: there may be very many. */
export function* linesOf(text: string): Generator<string> {
  for (let start = 0; start <= text.length; ) {
    const newline = text.indexOf('\n', start);
    const end = newline === -1 ? text.length : newline;
    yield text.slice(start, end > start && text[end - 1] === '\r' ? end - 1 : end);
    start = end + 1;
  }
}

/** An entry, or why there is none; `undefined` for what is none of ours. */
function readLine(line: string): ListingEntry | string | undefined {
  const groups = LINE.exec(line)?.groups;
  if (!groups) return `\`${line.slice(0, 200)}\` is no line of \`aws s3 ls --recursive\``;
  const { date, time, size, key } = groups as Record<'date' | 'time' | 'size' | 'key', string>;
  if (!key.startsWith(RELEASES)) return undefined;
  const parts = key.split('/').slice(1);
  const [version, target, name] = parts;
  const leftOut = (why: string) => `\`${key}\` ${why}, and is left out`;
  if (parts.length !== 3 || !version || !target || !name) return leftOut(`is not \`${RELEASES}VERSION/TARGET/FILE\``);
  // Browsers take such parts out of an address, and lead elsewhere.
  if (parts.some((part) => part === '.' || part === '..')) return leftOut('has a part `.` or `..`');
  if (key.includes('\ufffd')) return leftOut('is not UTF-8');
  if (Number.isNaN(Date.parse(`${date}T${time}Z`))) return leftOut(`has no date: \`${date} ${time}\``);
  if (SIDECAR.test(name)) return leftOut('is about another file');
  if (Number(size) === 0) return leftOut('is empty');
  return { key, size: Number(size), time: `${date}T${time}Z`, version, target, name };
}
