import { existsSync } from 'node:fs';
import { afterAll, beforeAll } from 'vitest';
import { GITEA, type Gitea, startGitea } from '#dev/gitea.js';
import { missingProgram } from './programs.js';

export type { GiteaRelease } from '#dev/gitea.js';

/** Why tests with Gitea cannot run here. */
export function missingForGitea(): string | undefined {
  return missingProgram('git') ?? (existsSync(GITEA) ? undefined : '`gitea` is not where `.ci/run` puts it');
}

/**
 * Starts a Gitea for the file or `describe` that calls this, and stops it afterwards. One for all tests of a file: that
 * takes 5 seconds; a repository takes a tenth of one (`repository`).
 *
 *     const gitea = useGitea();
 *     const { address } = await gitea().repository('demo', ['v1.0.0']);
 *     await box.succeed(['release', 'forge-publish', 'v1.0.0', '--to', 'gitea', address, …], { env: gitea().env });
 */
export function useGitea(): () => Gitea {
  let gitea: Gitea | undefined;
  beforeAll(async () => {
    gitea = await startGitea();
  }, 120_000);
  afterAll(async () => {
    await gitea?.close();
  });
  return () => gitea!;
}
