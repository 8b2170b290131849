/** The command `image sign`. */

import { type Made, signImage } from '../../../image/sign/sign.js';
import { CarportError } from '../../../lib/errors.js';
import { type Descriptor, parseIndex } from '../../../lib/oci/documents.js';
import { isIndexType } from '../../../lib/oci/media-types.js';
import { renderReference } from '../../../lib/oci/reference.js';
import type { Repository } from '../../../lib/oci/registry/repository.js';
import { type Context, note, writeJson, writeLines } from '../../cli/context.js';
import { count } from '../../cli/terminal.js';
import { closing, working } from '../push.js';
import { openRegistry } from '../registries.js';
import { claimsOf } from './claims.js';
import type { SignOptions } from './command.js';
import { secretImageKey } from './read-key.js';

/** Signs an image, and attests what options say of it. */
export async function sign(text: string, options: SignOptions, context: Context): Promise<void> {
  const key = await secretImageKey(options.key, context);
  const claims = await claimsOf(options, context);
  const formats = options.format === 'both' ? (['bundle', 'simple'] as const) : [options.format as 'bundle' | 'simple'];
  const { name, digest, made } = await working(options, context, (work) => {
    const { store, reference } = openRegistry(text, { context, options, ...work }, { writes: !options.dryRun });
    return closing(store, async (repository) => {
      const images = await imagesOf(repository, reference.digest ?? reference.tag, text, options.recursive);
      const repositoryName = renderReference({ ...reference, tag: undefined, digest: undefined });
      const made: Made[] = [];
      const request = { key, formats, claims, name: repositoryName, dryRun: options.dryRun };
      for (const image of images) made.push(...(await signImage(repository, image, request)));
      return { name: repositoryName, digest: images[0]!.digest, made };
    });
  });
  if (options.json) {
    const result = options.dryRun ? 'planned' : 'done';
    return writeJson(context.stdout, { image: { name, digest, key: key.publicKey.hint }, signed: made, result });
  }
  const amount = made.filter(({ state }) => state !== 'there').length;
  const verb = options.dryRun ? 'to be made' : 'made';
  note(
    context,
    options,
    amount === 0 ? `${name}: all of it is signed already` : `${name}: ${count(amount, 'signature')} ${verb}`,
  );
  await writeLines(context.stdout, [digest]);
}

async function imagesOf(
  repository: Repository,
  reference: string | undefined,
  text: string,
  isRecursive: boolean,
): Promise<readonly Descriptor[]> {
  const found = await repository.manifest(reference);
  if (found === undefined)
    throw new CarportError('E_NOT_FOUND', `there is no image \`${text}\``, { hint: 'check its name and its tag' });
  const { descriptor, bytes } = found;
  if (!isRecursive || !isIndexType(descriptor.mediaType)) return [descriptor];
  return [descriptor, ...parseIndex(`\`${text}\``, bytes).manifests];
}
