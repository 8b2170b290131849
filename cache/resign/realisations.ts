/** Signs the realisations of a cache again, in both of their forms. */

import { hasCode } from '../../lib/errors.js';
import { mergeSignatures } from '../../lib/nix/path-info.js';
import {
  type Realisation,
  realisationFingerprint,
  type TracedOutput,
  traceFingerprint,
} from '../../lib/nix/realisation.js';
import type { Resigned, Resigning } from '../../lib/object-store/documents.js';
import { listObjects, type ObjectStore } from '../../lib/object-store/object-store.js';
import { signatureKeyName, signText, verifyText } from '../../lib/signing/signature.js';
import { REALISATIONS, realisationIdOfKey, TRACES, tracedOutputOfKey } from '../layout.js';
import { readRealisation, readTrace, writeRealisation, writeTrace } from '../realisations/objects.js';

interface Request extends Resigning {
  readonly dryRun: boolean;
}

/** The keys of all realisations. */
export async function listRealisations(objects: ObjectStore): Promise<readonly string[]> {
  const keys: string[] = [];
  for (const prefix of [REALISATIONS, TRACES]) {
    for await (const { key } of listObjects(objects, { prefix, recursive: true })) keys.push(key);
  }
  return keys;
}

/**
 * Signs a realisation again where somebody who is trusted has signed it. All others stay as they are: Nix signs no realisation
 * that it copies, and nobody who asks for signatures takes them.
 */
export async function resignRealisation(
  objects: ObjectStore,
  key: string,
  storeDir: string,
  request: Request,
): Promise<Resigned | undefined> {
  const id = realisationIdOfKey(key);
  const traced = tracedOutputOfKey(key);
  if (id !== undefined) {
    const realisation = await readRealisation(objects, id, storeDir).catch((cause) => {
      if (hasCode(cause, 'E_INTEGRITY')) return { kind: 'damaged', cause } as const;
      throw cause;
    });
    return realisation !== undefined && 'kind' in realisation
      ? realisation
      : resignPlain(objects, realisation, request);
  }
  if (traced !== undefined) return resignTrace(objects, traced, await readTrace(objects, traced, storeDir), request);
  return 'as it was';
}

async function resignPlain(
  objects: ObjectStore,
  realisation: Realisation | undefined,
  request: Request,
): Promise<Resigned | undefined> {
  if (realisation === undefined) return undefined;
  const text = realisationFingerprint(realisation);
  return resign(text, realisation.signatures, request, (signatures) =>
    writeRealisation(objects, { ...realisation, signatures }),
  );
}

async function resignTrace(
  objects: ObjectStore,
  traced: TracedOutput,
  trace: Pick<Realisation, 'outPath' | 'signatures'> | undefined,
  request: Request,
): Promise<Resigned | undefined> {
  if (trace === undefined) return undefined;
  const text = traceFingerprint(traced, trace.outPath);
  return resign(text, trace.signatures, request, (signatures) =>
    writeTrace(objects, traced, trace.outPath, signatures),
  );
}

async function resign(
  text: string,
  signatures: readonly string[],
  { keys, trust, remove, dryRun }: Request,
  write: (signatures: readonly string[]) => Promise<void>,
): Promise<Resigned> {
  if (verifyText(text, signatures, trust.keys).state !== 'valid') return 'as it was';
  const replaced = [...keys.map(({ name }) => name), ...remove];
  const others = signatures.filter((signature) => !replaced.includes(signatureKeyName(signature)));
  const signed = mergeSignatures(
    others,
    keys.map((key) => signText(text, key)),
  );
  const staying = trust.keys.filter(({ name }) => !remove.includes(name));
  if (verifyText(text, signed, staying).state !== 'valid') return { kind: 'last-signature' };
  if (signed.join() === [...signatures].sort().join()) return 'as it was';
  if (!dryRun) await write(signed);
  return 'signed';
}
