/** What a command is to say of an image, beside that it is signed. */

import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { PROVENANCE, provenanceOf } from '../../../image/sign/provenance.js';
import { type Claim, SIGNATURE } from '../../../image/sign/sign.js';
import { CarportError, formatError } from '../../../lib/errors.js';
import { buildReleaseIndex } from '../../../release/catalog/build.js';
import { allReleases, type Release } from '../../../release/catalog/model.js';
import { ownRules } from '../../../release/catalog/rules.js';
import { readBuild } from '../../../release/ci/detect.js';
import { readSources } from '../../../release/sources/sources.js';
import { type Context, workingDirectory } from '../../cli/context.js';
import { withCache } from '../../cli/with-caches.js';
import { channelRuleOf } from '../../release/settings.js';
import type { SignOptions } from './command.js';

const PREDICATE_LIMIT = 1024 * 1024;

/** The signature, and the attestations that options ask for. Throws before anything is sent. */
export async function claimsOf(options: SignOptions, context: Context): Promise<readonly Claim[]> {
  const { provenance, release, predicate, type } = options;
  if (provenance && release !== undefined)
    throw new CarportError('E_USAGE', '`--provenance` and `--release` exclude each other');
  if ((predicate === undefined) !== (type === undefined)) {
    throw new CarportError('E_USAGE', '`--predicate` and `--type` go together', {
      hint: 'such as `--predicate sbom.json --type https://spdx.dev/Document`',
    });
  }
  return [
    SIGNATURE,
    ...(provenance ? [{ predicateType: PROVENANCE, predicate: provenanceOf(buildFacts(options, context)) }] : []),
    ...(release === undefined ? [] : [await claimOfRelease(release, options, context)]),
    ...(predicate === undefined ? [] : [{ predicateType: type!, predicate: await readJson(predicate, context) }]),
  ];
}

function buildFacts(options: SignOptions, context: Context) {
  const { version, commit, system, runUrl } = readBuild(context.env, channelRuleOf(options.settings), options);
  return { version, commit, system, runUrl };
}

/** What the bucket says of a release, if a trusted key has signed that. */
async function claimOfRelease(version: string, options: SignOptions, context: Context): Promise<Claim> {
  const { settings } = options;
  const [url] = settings.from.value;
  if (url === undefined) {
    throw new CarportError('E_USAGE', 'it is not said in which bucket the release is', { hint: 'give `--cache URL`' });
  }
  const policy = { keys: settings['trusted-keys'].value, allowUnsigned: false };
  return withCache(url, { options, context }, async ({ objects }) => {
    const sources = await readSources(objects, policy, version);
    const { index } = buildReleaseIndex(sources, ownRules(channelRuleOf(settings)), []);
    const release = allReleases(index).find((each) => each.version === version);
    if (release?.signed === undefined) {
      throw new CarportError(
        'E_NOT_FOUND',
        `\`${objects.url}\` has no release \`${version}\` by a key that is trusted`,
        {
          hint: '`carport release ls` lists what is there; `--trusted-key` says whose signatures count',
        },
      );
    }
    return { predicateType: PROVENANCE, predicate: provenanceOf(factsOf(release)) };
  });
}

function factsOf({ version, commit, ci, time, promotedFrom, targets }: Release) {
  const files = targets.flatMap(({ target, files }) =>
    files.flatMap(({ name, sha256 }) => (sha256 === undefined ? [] : [{ name, target, sha256 }])),
  );
  const runUrl = ci?.runUrl ?? undefined;
  return {
    ...{ version, commit, time, files, runUrl },
    system: ci?.system ?? 'none',
    promotedFrom: promotedFrom?.version,
  };
}

async function readJson(file: string, context: Context): Promise<unknown> {
  const path = resolve(workingDirectory(context), file);
  const stats = await stat(path).catch((cause) => {
    throw new CarportError('E_NOT_FOUND', `\`${file}\` (--predicate) is not there`, { cause, hint: 'check the path' });
  });
  if (stats.size > PREDICATE_LIMIT) throw formatError(`\`${file}\``, `has more than ${PREDICATE_LIMIT} bytes`);
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw formatError(`\`${file}\``, 'is not JSON', { cause });
  }
}
