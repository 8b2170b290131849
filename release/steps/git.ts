/** git, as the steps around a release run it: its answers, and what it is told of the environment. */

import { CarportError } from '../../lib/errors.js';
import { type ProgramResult, runProgram } from '../../lib/process/run.js';

/** What git said. */
export interface GitAnswer {
  /** Absent when it did not run to its own end. */
  readonly exitCode?: number;
  readonly stdout: string;
  /** All that it said there, of more than 64 KiB the end. */
  readonly stderr: string;
  /** Why it was no success, in words. */
  readonly failure?: string;
}

export interface Git {
  /** Where it runs. */
  readonly directory: string;
  /** Runs git; that it fails is part of the answer. Throws `E_PROGRAM` where there is no git. */
  ask(...args: readonly string[]): Promise<GitAnswer>;
  /** Its output. Throws `E_PROGRAM` with what it said where it fails. */
  tell(...args: readonly string[]): Promise<string>;
}

/** How git is run. */
export interface GitOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds for one run. */
  readonly timeLimit?: number;
}

/** Network included: a push may wait for hooks of the server. */
const GIT_MS = 10 * 60_000;

/** Characters of what it prints. */
const MOST_OUTPUT = 64 * 1024 * 1024;

/** git in a directory. It asks nobody anything, and does not run what a repository says for looking at files. */
export function gitIn(directory: string, env: NodeJS.ProcessEnv, { signal, timeLimit = GIT_MS }: GitOptions = {}): Git {
  const environment = environmentOf(env);
  const ask = async (...args: readonly string[]): Promise<GitAnswer> => {
    const ended = await runProgram('git', ['-c', 'core.fsmonitor=false', '-c', 'core.quotePath=true', ...args], {
      ...{ directory, env: environment, timeLimit, outputLimit: MOST_OUTPUT },
      ...(signal && { signal }),
    });
    if (ended.failure?.reason === 'not-found') {
      throw new CarportError('E_PROGRAM', 'git is not installed', { hint: 'install git, or put it on PATH' });
    }
    return answerOf(ended);
  };
  return {
    ...{ directory, ask },
    async tell(...args) {
      const { exitCode, stdout, failure } = await ask(...args);
      if (exitCode === 0 && failure === undefined) return stdout;
      throw gitError(`git ${args[0]} failed`, failure);
    },
  };
}

/** The error of a run of git. */
export function gitError(message: string, failure: string | undefined, hint?: string): CarportError {
  return new CarportError('E_PROGRAM', message, { cause: new Error(failure ?? 'it did not say why'), hint });
}

function answerOf({ exitCode, stdout, stderr, failure }: ProgramResult): GitAnswer {
  return {
    ...(exitCode !== undefined && { exitCode }),
    ...{ stdout, stderr },
    ...(failure && { failure: failure.message }),
  };
}

/** Secrets of carport, of buckets, indexes and registries, which git and its hooks need not know. Keys of servers that git itself asks for stay. */
const SECRET = /^(CARPORT_|AWS_|PLUGIN_|TWINE_|UV_PUBLISH_|COSIGN_|DOCKER_AUTH|DRONE_TOKEN$|RELEASE_KEY$)/;

function environmentOf(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const passed = Object.entries(env).filter(([name]) => !SECRET.test(name));
  return {
    ...Object.fromEntries(passed),
    ...{
      LC_ALL: 'C',
      GIT_TERMINAL_PROMPT: '0',
      GIT_OPTIONAL_LOCKS: '0',
      GIT_NO_REPLACE_OBJECTS: '1',
      GIT_PAGER: 'cat',
    },
  };
}
