/** Where an image is from, as SLSA's provenance says it: version 1.0 of its predicate. */

import { CarportError } from '../../lib/errors.js';

export const PROVENANCE = 'https://slsa.dev/provenance/v1';

/** What is known of a build. */
export interface BuildFacts {
  readonly version?: string | undefined;
  readonly commit?: string | undefined;
  /** The system that built it, and its run. */
  readonly system: string;
  readonly runUrl?: string | undefined;
  /** When the release was published, in RFC 3339. */
  readonly time?: string | undefined;
  readonly promotedFrom?: string | undefined;
  /** Files of the release, which the image may have. */
  readonly files?: readonly { readonly name: string; readonly target: string; readonly sha256: string }[] | undefined;
}

const BUILD_TYPE = 'urn:carport:image:v1';

/** The predicate. Throws `E_USAGE` where not even the commit is known: it would say nothing. */
export function provenanceOf(facts: BuildFacts): object {
  const { version, commit, system, runUrl, time, promotedFrom, files = [] } = facts;
  if (commit === undefined) {
    throw new CarportError('E_USAGE', 'it is not known which commit the image is from', {
      hint: 'give `--commit "$(git rev-parse HEAD)"`, or run it where a CI system says what is built',
    });
  }
  const ofFiles = files.map(({ name, target, sha256 }) => ({ name: `${target}/${name}`, digest: { sha256 } }));
  return {
    buildDefinition: {
      buildType: BUILD_TYPE,
      externalParameters: {
        ...(version !== undefined && { version }),
        ...(promotedFrom !== undefined && { promotedFrom }),
      },
      resolvedDependencies: [{ name: 'source', digest: { gitCommit: commit } }, ...ofFiles],
    },
    runDetails: {
      builder: { id: builderOf(system, runUrl) },
      metadata: {
        ...(runUrl !== undefined && { invocationId: runUrl }),
        ...(time !== undefined && { finishedOn: time }),
      },
    },
  };
}

/** The server that built it, or a person. */
function builderOf(system: string, runUrl: string | undefined): string {
  return runUrl !== undefined && URL.canParse(runUrl) ? new URL(runUrl).origin : `urn:carport:${system}`;
}
