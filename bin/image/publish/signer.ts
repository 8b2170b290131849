/** Signs the images of a plan when they are at their destinations, before any tag names them. */

import type { PublishedBuild } from '../../../image/publication/tags.js';
import { PROVENANCE, provenanceOf } from '../../../image/sign/provenance.js';
import { type Claim, type Made, SIGNATURE, signImage } from '../../../image/sign/sign.js';
import { renderReference } from '../../../lib/oci/reference.js';
import { readBuild } from '../../../release/ci/detect.js';
import type { Context } from '../../cli/context.js';
import { channelRuleOf } from '../../release/settings.js';
import { secretImageKey } from '../sign/read-key.js';
import type { PublishOptions } from './command.js';
import type { Repository } from './repositories.js';
import type { BuiltUnit } from './workshop.js';

export type Signer = (repository: Repository, built: BuiltUnit) => Promise<readonly Made[]>;

const FORMATS = ['bundle', 'simple'] as const;

/** Nothing is signed without a key. Where an image is from is attested if the commit is known. */
export async function signerOf(options: PublishOptions, build: PublishedBuild, context: Context): Promise<Signer> {
  if (options.signKey === undefined) return async () => [];
  const key = await secretImageKey(options.signKey, context, '--sign-key');
  const { system, runUrl } = readBuild(context.env, channelRuleOf(options.settings), options);
  const claims: readonly Claim[] =
    build.commit === undefined
      ? [SIGNATURE]
      : [SIGNATURE, { predicateType: PROVENANCE, predicate: provenanceOf({ ...build, system, runUrl }) }];
  return ({ open: { store, reference } }, { manifest }) => {
    const name = renderReference({ ...reference, tag: undefined, digest: undefined });
    return signImage(store, manifest.descriptor, { key, formats: FORMATS, name, claims, dryRun: false });
  };
}
