/** Versions of Python packages: reading, normal form, order (PEP 440, "Version specifiers" of packaging.python.org). */

import { formatError } from '../errors.js';

/** A version in its parts. Numbers may be larger than JavaScript's: they are `bigint`. */
export interface PythonVersion {
  readonly epoch: bigint;
  /** As it was written, with zeros at its end; at least one. */
  readonly release: readonly bigint[];
  readonly pre?: { readonly kind: 'a' | 'b' | 'rc'; readonly number: bigint };
  readonly post?: bigint;
  readonly dev?: bigint;
  /** Numbers, and text in lower case; empty where there is none. */
  readonly local: readonly (bigint | string)[];
}

const MAX_LENGTH = 200;

const VERSION =
  /^v?(?:(?<epoch>[0-9]+)!)?(?<release>[0-9]+(?:\.[0-9]+)*)(?:[-_.]?(?<kind>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?<pre>[0-9]+)?)?(?<post>-(?<bare>[0-9]+)|[-_.]?(?:post|rev|r)[-_.]?(?<counted>[0-9]+)?)?(?<dev>[-_.]?dev[-_.]?(?<nightly>[0-9]+)?)?(?:\+(?<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?$/;

const KINDS: Readonly<Record<string, 'a' | 'b' | 'rc'>> = {
  ...{ alpha: 'a', a: 'a', beta: 'b', b: 'b' },
  ...{ preview: 'rc', pre: 'rc', c: 'rc', rc: 'rc' },
};

/** Reads a version in any of its spellings, such as `v1.0-RC1`. `undefined` for what is none. */
export function tryPythonVersion(text: string): PythonVersion | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const groups = VERSION.exec(text.trim().toLowerCase())?.groups;
  if (!groups) return undefined;
  const { epoch = '0', release = '', kind, pre, post, bare, counted, dev, nightly, local } = groups;
  return {
    epoch: BigInt(epoch),
    release: release.split('.').map(BigInt),
    ...(kind !== undefined && { pre: { kind: KINDS[kind]!, number: BigInt(pre ?? 0) } }),
    ...(post !== undefined && { post: BigInt(bare ?? counted ?? 0) }),
    ...(dev !== undefined && { dev: BigInt(nightly ?? 0) }),
    local: local === undefined ? [] : local.split(/[-_.]/).map((part) => (/^[0-9]+$/.test(part) ? BigInt(part) : part)),
  };
}

/** The same; throws `E_FORMAT` for what is no version. */
export function parsePythonVersion(text: string): PythonVersion {
  const version = tryPythonVersion(text);
  if (version) return version;
  const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  throw formatError(`\`${shown}\``, 'is not a version as Python packages have them (PEP 440), such as `1.2.0rc1`');
}

/** The normal form: `1!1.0rc1.post2.dev3+local.1`. */
export function renderPythonVersion({ epoch, release, pre, post, dev, local }: PythonVersion): string {
  return [
    epoch === 0n ? '' : `${epoch}!`,
    release.join('.'),
    pre ? `${pre.kind}${pre.number}` : '',
    post === undefined ? '' : `.post${post}`,
    dev === undefined ? '' : `.dev${dev}`,
    local.length === 0 ? '' : `+${local.join('.')}`,
  ].join('');
}

/** Whether it is neither a pre-release nor a development release; a post-release of a final one is final. */
export function isFinalVersion({ pre, dev }: PythonVersion): boolean {
  return pre === undefined && dev === undefined;
}

/** Whether two versions have the same epoch and release number, zeros at its end apart: `1.0rc1` and `1`. */
export function isSameReleaseNumber(a: PythonVersion, b: PythonVersion): boolean {
  return a.epoch === b.epoch && compareLists(trimmed(a.release), trimmed(b.release), compareBig) === 0;
}

/** Less than zero when `a` comes before `b`; zero where they are the same version. */
export function comparePythonVersions(a: PythonVersion, b: PythonVersion): number {
  return (
    compareBig(a.epoch, b.epoch) ||
    compareLists(trimmed(a.release), trimmed(b.release), compareBig) ||
    compareLists(preKey(a), preKey(b), compareBig) ||
    compareBig(a.post ?? -1n, b.post ?? -1n) ||
    compareDev(a.dev, b.dev) ||
    compareLists(a.local, b.local, compareLocal)
  );
}

/** `1.dev1` comes before `1a1`, and that before `1`. */
function preKey({ pre, post, dev }: PythonVersion): readonly bigint[] {
  if (pre) return [{ a: 0n, b: 1n, rc: 2n }[pre.kind], pre.number];
  return post === undefined && dev !== undefined ? [-1n] : [3n];
}

/** Without any it is the last. */
function compareDev(a: bigint | undefined, b: bigint | undefined): number {
  if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined);
  return compareBig(a, b);
}

/** Numbers come after text. */
function compareLocal(a: bigint | string, b: bigint | string): number {
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : Number(a > b);
  if (typeof a === 'bigint' && typeof b === 'bigint') return compareBig(a, b);
  return typeof a === 'bigint' ? 1 : -1;
}

function compareBig(a: bigint, b: bigint): number {
  return a < b ? -1 : Number(a > b);
}

/** What is at the beginning of another comes before it. */
function compareLists<T>(a: readonly T[], b: readonly T[], compare: (a: T, b: T) => number): number {
  for (const [index, item] of a.entries()) {
    const other = b[index];
    if (other === undefined) return 1;
    const found = compare(item, other);
    if (found !== 0) return found;
  }
  return a.length - b.length;
}

function trimmed(release: readonly bigint[]): readonly bigint[] {
  const last = release.findLastIndex((part) => part !== 0n);
  return release.slice(0, last + 1);
}
