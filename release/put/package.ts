/** What is read of a file that may be a wheel or a source distribution, before anything is published. */

import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import type { Emit, WarningEvent } from '../../lib/work.js';
import { mayBePython, metadataNameOf, type PythonFacts } from '../wheels/facts.js';
import type { FileDigest } from './local-file.js';

/** How files are looked at. */
export interface PackageReading {
  /** Take one that is not what it says for any other file. */
  readonly allowFaulty?: boolean | undefined;
  readonly dryRun: boolean;
  readonly work: { readonly emit: Emit<WarningEvent> };
  /** A path for a copy. */
  spool(): Promise<string>;
}

/** What is to be said of a file, and what is to be published beside it. */
export interface ReadPackage {
  readonly facts?: PythonFacts;
  readonly metadata?: { readonly name: string; readonly digest: FileDigest; readonly copy?: string };
}

const WAY_OUT = '`--allow-faulty-packages` puts it as it is, and no simple index has it then';

/**
 * Looks at the file at a path, which is to be called `name`. Nothing for what is neither a wheel nor a source distribution.
 * Throws `E_FORMAT` or `E_INTEGRITY` for one that is not what it says.
 */
export async function readPackage(path: string, name: string, reading: PackageReading): Promise<ReadPackage> {
  if (!mayBePython(name)) return {};
  // Most releases have none.
  const { checkPython } = await import('../wheels/check.js');
  const tell = (fault: string) =>
    reading.work.emit({ type: 'warning', message: `${fault}: it is put as it is, and no simple index has it` });
  const checked = await checkPython(path, name, { allowed: reading.allowFaulty === true, wayOut: WAY_OUT, tell });
  if (!checked) return {};
  const { facts, document: bytes } = checked;
  if (facts.metadataSha256 === null) return { facts };
  const digest = { size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
  const copy = reading.dryRun ? undefined : await reading.spool();
  if (copy !== undefined) await writeFile(copy, bytes, { flag: 'wx' });
  return { facts, metadata: { name: metadataNameOf(name), digest, ...(copy !== undefined && { copy }) } };
}
