/** The command `image verify`. */

import { type Found, findSigned, notSigned, type Signed } from '../../../image/sign/find.js';
import { PROVENANCE } from '../../../image/sign/provenance.js';
import { SIGNED } from '../../../image/sign/statement.js';
import { CarportError } from '../../../lib/errors.js';
import { renderReference } from '../../../lib/oci/reference.js';
import { type Context, note, writeJson, writeLines } from '../../cli/context.js';
import { count } from '../../cli/terminal.js';
import { closing, working } from '../push.js';
import { openRegistry } from '../registries.js';
import type { VerifyOptions } from './command.js';
import { publicImageKeys } from './read-key.js';

/** Checks the signatures of an image, and the attestations that are asked for. */
export async function verify(text: string, options: VerifyOptions, context: Context): Promise<void> {
  const keys = await publicImageKeys(options.key, context);
  const { name, digest, found } = await working({ ...options, quiet: true, json: false }, context, (work) => {
    const { store, reference } = openRegistry(text, { context, options, ...work });
    return closing(store, async (repository) => {
      const image = await repository.manifest(reference.digest ?? reference.tag);
      if (image === undefined)
        throw new CarportError('E_NOT_FOUND', `there is no image \`${text}\``, { hint: 'check its name and its tag' });
      const { digest } = image.descriptor;
      const name = renderReference({ ...reference, digest });
      return { name, digest, found: await findSigned(repository, digest, keys) };
    });
  });
  const told = check(`\`${name}\``, found, options);
  if (options.json) return writeJson(context.stdout, { image: { name, digest }, signed: told });
  note(context, options, `${name}: ${count(told.length, 'valid signature')}`);
  await writeLines(context.stdout, [digest]);
}

/** Throws `E_SIGNATURE` unless all is there that is asked for. */
function check(name: string, found: Found, { provenance, commit, type }: VerifyOptions): readonly Signed[] {
  const { signed } = found;
  const has = (predicateType: string) => signed.filter((each) => each.predicateType === predicateType);
  if (has(SIGNED).length === 0) throw notSigned(name, found, 'signature');
  if (type !== undefined && has(type).length === 0) throw notSigned(name, found, `attestation \`${type}\``);
  const provenances = has(PROVENANCE);
  if ((provenance || commit !== undefined) && provenances.length === 0)
    throw notSigned(name, found, 'attestation where it is from');
  const commits = provenances.map(commitOf);
  if (commit === undefined || commits.includes(commit)) return signed;
  throw new CarportError('E_SIGNATURE', `${name} is from another commit: \`${commits.join('`, `')}\``, {
    hint: 'that is what its attestation says',
  });
}

/** The commit that SLSA's provenance names, of whichever tool. */
function commitOf({ predicate }: Signed): string | undefined {
  type Names = { readonly digest?: { readonly gitCommit?: unknown; readonly sha1?: unknown } } | null;
  const { buildDefinition } = (predicate ?? {}) as {
    readonly buildDefinition?: { readonly resolvedDependencies?: unknown };
  };
  const dependencies = buildDefinition?.resolvedDependencies;
  const names = (Array.isArray(dependencies) ? dependencies : []) as readonly Names[];
  const found = names
    .map((each) => each?.digest?.gitCommit ?? each?.digest?.sha1)
    .find((each) => typeof each === 'string');
  return found as string | undefined;
}
