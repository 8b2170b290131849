/** Whether git finds the commit in a branch. */

import { type FailureReason, runProgram } from '../../../lib/process/run.js';
import { commitOf } from '../../sources/candidate.js';
import { gitEnvironment } from './environment.js';
import { failed, type Gate, passed } from './gate.js';

const GATE = 'ancestor';

/** Git may ask a server for what a partial clone lacks. */
const GIT_MS = 60_000;

/** Whether the commit is in the branch, as the checkout of the working directory knows both. */
export const ancestor: Gate = async (plan, { ancestorOf: branch = '' }, { directory, env, signal }) => {
  const commit = commitOf(plan.candidate);
  if (commit === undefined) return failed(GATE, 'its targets are not all of one commit, or one does not say of which');
  const git = gitIn(directory, gitEnvironment(env), signal);
  const repository = await git('rev-parse', '--is-shallow-repository');
  if (repository.exitCode !== 0) return failed(GATE, `git cannot say: ${repository.stderr}`);
  const resolve = async (name: string) => {
    const { stdout } = await git('rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`);
    // `^main` would be all that is not in it.
    return /^[0-9a-f]+$/.test(stdout) ? stdout : undefined;
  };
  const found = await resolve(commit);
  // What is 40 digits long is only a part of a name in a repository with SHA-256, or may be a branch there.
  if (found?.length !== commit.length) {
    return failed(GATE, `the commit ${commit} is not in this checkout: fetch it`);
  }
  // A tag of the same name would come first otherwise.
  const tip =
    (await resolve(`refs/heads/${branch}`)) ?? (await resolve(`refs/remotes/${branch}`)) ?? (await resolve(branch));
  if (tip === undefined) return failed(GATE, `\`${branch}\` is not in this checkout: fetch it, or name \`origin/…\``);
  const answer = await git('merge-base', '--is-ancestor', '--end-of-options', commit, tip);
  if (answer.exitCode === 0) return passed(GATE, `the commit ${commit} is in \`${branch}\``);
  if (answer.exitCode !== 1) return failed(GATE, `git cannot say: ${answer.stderr}`);
  if (repository.stdout === 'true') {
    return failed(GATE, `this checkout is shallow, so git cannot say: fetch all with \`git fetch --unshallow\``);
  }
  return failed(GATE, `the commit ${commit} is not in \`${branch}\``);
};

interface GitAnswer {
  /** Not there when it did not run, or not to its end. */
  readonly exitCode: number | undefined;
  readonly stdout: string;
  /** Its last line, or why there is none. */
  readonly stderr: string;
}

function gitIn(directory: string, env: NodeJS.ProcessEnv, signal: AbortSignal) {
  // Whoever can push must not be able to say what the history is.
  const gitEnv = { ...env, LC_ALL: 'C', GIT_TERMINAL_PROMPT: '0', GIT_NO_REPLACE_OBJECTS: '1' };
  return async (...args: readonly string[]): Promise<GitAnswer> => {
    const { exitCode, stdout, stderr, failure } = await runProgram('git', args, {
      directory,
      env: gitEnv,
      signal,
      timeLimit: GIT_MS,
    });
    const said = stderr.trim().split('\n').at(-1);
    return { exitCode, stdout, stderr: said || whyNot(failure?.reason, exitCode) };
  };
}

function whyNot(reason: FailureReason | undefined, exitCode: number | undefined): string {
  if (reason === 'not-found') return 'it is not installed';
  if (reason === 'timed-out') return `it took longer than ${GIT_MS / 1000} seconds`;
  return `it ended with ${exitCode ?? 'a signal'}`;
}
