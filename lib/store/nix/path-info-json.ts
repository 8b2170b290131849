/** The JSON of `nix path-info`, in all its versions. */

import * as v from 'valibot';
import { CarportError, formatError } from '../../errors.js';
import { type Hash, parseHash, renderHash } from '../../nix/hash.js';
import type { PathInfo } from '../../nix/path-info.js';
import { parseStorePath } from '../../nix/store-path.js';

/** `{"algorithm": "sha256", "format": …, "hash": …}` in some versions, text in the others. */
const HashJson = v.union([
  v.string(),
  v.object({ algorithm: v.string(), hash: v.string(), format: v.optional(v.string()) }),
]);

const ContentAddressJson = v.union([v.string(), v.object({ method: v.string(), hash: HashJson })]);

const SignatureJson = v.union([v.string(), v.object({ keyName: v.string(), sig: v.string() })]);

/** One path, in any version: what is absent in one is null in another. */
const InfoJson = v.object({
  path: v.optional(v.string()),
  valid: v.optional(v.boolean()),
  narHash: v.optional(HashJson),
  narSize: v.optional(v.pipe(v.number(), v.safeInteger())),
  references: v.optional(v.array(v.string())),
  deriver: v.nullish(v.string()),
  signatures: v.nullish(v.array(SignatureJson)),
  ca: v.nullish(ContentAddressJson),
});
type InfoJson = v.InferOutput<typeof InfoJson>;

/**
 * Reads what `nix path-info --json` prints: a list (Nix 2.8 to 2.18), an object by path (2.19 on), and the versioned
 * forms with base names and structured hashes (2.32 on). Paths that are not valid are left out.
 */
export function parsePathInfoJson(text: string, storeDir: string): readonly PathInfo[] {
  return [...pathInfosIn(text, storeDir)];
}

/** The same, one at a time: reading thousands takes a while, in which the caller may let others have the thread. */
export function* pathInfosIn(text: string, storeDir: string): Generator<PathInfo> {
  for (const [key, value] of entries(parseJson(text))) {
    const info = isUsual(value) ? value : checked(value);
    if (info === null || info.valid === false || info.narHash === undefined) continue;
    yield toPathInfo(key ?? info.path ?? '', info, storeDir);
  }
}

const NullableInfoJson = v.nullable(InfoJson);

function checked(value: unknown): InfoJson | null {
  const json = v.safeParse(NullableInfoJson, value);
  if (json.success) return json.output;
  throw unknownShape(new Error(v.summarize(json.issues)));
}

/** Whether a value has the shape that the newest Nix gives it, which is seen at a tenth of the cost. */
function isUsual(value: unknown): value is InfoJson {
  if (!isRecord(value)) return false;
  const { path, valid, narHash, narSize, references, deriver, signatures, ca } = value;
  return (
    path === undefined &&
    valid === undefined &&
    typeof narHash === 'string' &&
    Number.isSafeInteger(narSize) &&
    areStrings(references) &&
    (deriver === null || typeof deriver === 'string') &&
    areStrings(signatures) &&
    (ca === null || isUsualContentAddress(ca))
  );
}

function areStrings(value: unknown): boolean {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}

function isUsualContentAddress(value: unknown): boolean {
  return isRecord(value) && typeof value.method === 'string' && typeof value.hash === 'string';
}

function entries(json: unknown): readonly (readonly [string | undefined, unknown])[] {
  if (Array.isArray(json)) return json.map((info) => [undefined, info]);
  if (!isRecord(json)) throw unknownShape(new Error('it is neither a list nor an object'));
  const versioned = 'info' in json && typeof json.storeDir === 'string';
  if (versioned && !isRecord(json.info)) throw unknownShape(new Error('`info` is not an object'));
  return Object.entries(versioned ? (json.info as Record<string, unknown>) : json);
}

function isRecord(json: unknown): json is Record<string, unknown> {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

function unknownShape(cause: Error): CarportError {
  return new CarportError('E_PROGRAM', '`nix path-info --json` printed a shape that carport does not know', {
    cause,
    hint: 'report it with the output of `nix --version`',
  });
}

function toPathInfo(key: string, json: InfoJson, storeDir: string): PathInfo {
  const full = (path: string) => parseStorePath(path.startsWith('/') ? path : `${storeDir}/${path}`, storeDir);
  const path = full(key);
  if (!json.narSize) throw formatError(`path info of \`${path}\``, 'the NAR size is not known');
  const narHashText = hashText(json.narHash!);
  const narHash = parseHash(narHashText);
  return {
    path,
    narHash,
    narSize: json.narSize,
    references: (json.references ?? []).map(full).sort(),
    ...(json.deriver && { deriver: full(json.deriver) }),
    signatures: (json.signatures ?? []).map((sig) => (typeof sig === 'string' ? sig : `${sig.keyName}:${sig.sig}`)),
    ...(json.ca && { ca: contentAddressText(json.ca, { text: narHashText, hash: narHash }) }),
  };
}

function hashText(json: v.InferOutput<typeof HashJson>): string {
  if (typeof json === 'string') return json;
  return json.hash.startsWith(`${json.algorithm}-`) ? json.hash : `${json.algorithm}:${json.hash}`;
}

/** The text of a structured content address, `{"method": "nar", "hash": …}`, as narinfos have it: in nix32. */
function contentAddressText(
  json: v.InferOutput<typeof ContentAddressJson>,
  nar: { readonly text: string; readonly hash: Hash },
): string {
  if (typeof json === 'string') return json;
  const prefixes: Record<string, string> = { text: 'text:', flat: 'fixed:', nar: 'fixed:r:', git: 'fixed:git:' };
  const prefix = prefixes[json.method];
  if (prefix === undefined) throw formatError('content address', `the method \`${json.method}\` is not known`);
  const text = hashText(json.hash);
  // Mostly it is that of the NAR.
  return prefix + renderHash(text === nar.text ? nar.hash : parseHash(text));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CarportError('E_PROGRAM', '`nix path-info --json` did not print JSON', {
      cause,
      hint: 'see by hand what `nix path-info --json PATH` prints, and whether the `nix` on PATH is that of Nix (`nix --version`)',
    });
  }
}
