/** A git repository in a directory of a sandbox. */

import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import type { Sandbox } from './sandbox.js';

/** What git needs to run as the sandbox's user. */
export function gitEnv(box: Sandbox): Readonly<Record<string, string>> {
  const who = { NAME: 'Somebody', EMAIL: 'somebody@example.org', DATE: '2026-01-01T00:00:00Z' };
  return {
    PATH: `${box.env.PATH}:${process.env.PATH}`,
    GIT_CONFIG_NOSYSTEM: '1',
    ...Object.fromEntries(Object.entries(who).map(([name, value]) => [`GIT_AUTHOR_${name}`, value])),
    ...Object.fromEntries(Object.entries(who).map(([name, value]) => [`GIT_COMMITTER_${name}`, value])),
  };
}

export interface Repository {
  readonly directory: string;
  git(...args: readonly string[]): Promise<string>;
  write(name: string, text: string | Uint8Array): Promise<void>;
  /** Commits all that is there, or nothing; gives the id. */
  commit(message: string): Promise<string>;
}

/** Makes a repository on a branch `main`, without a commit. */
export async function createRepository(box: Sandbox, directory: string): Promise<Repository> {
  await mkdir(directory, { recursive: true });
  const env = { ...box.env, ...gitEnv(box) };
  const git = async (...args: readonly string[]) => {
    const { stdout } = await execa('git', args, { cwd: directory, env, extendEnv: false });
    return stdout;
  };
  await git('init', '--quiet', '--initial-branch=main');
  return {
    ...{ directory, git },
    async write(name, text) {
      await mkdir(dirname(join(directory, name)), { recursive: true });
      await writeFile(join(directory, name), text);
    },
    async commit(message) {
      await git('add', '--all');
      await git('commit', '--quiet', '--allow-empty', `--message=${message}`);
      return git('rev-parse', 'HEAD');
    },
  };
}
