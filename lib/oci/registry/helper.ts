/** Programs that keep passwords: `docker-credential-NAME`. Source: docker-credential-helpers' protocol. */

import * as v from 'valibot';
import { CarportError } from '../../errors.js';
import { findProgram } from '../../process/find-program.js';
import { runProgram } from '../../process/run.js';
import type { Login } from './login.js';

const ANSWER_LIMIT = 64 * 1024;

/** A program may ask its user for something, but not for ever. */
const TIME_LIMIT_MS = 60_000;

const answer = v.object({ Username: v.string(), Secret: v.string() });

/** The user that stands for a token. */
const TOKEN_USER = '<token>';

/** Asks a helper for a server; `undefined` where it knows none. `place` is what names the helper. Limits are milliseconds. */
export async function askHelper(
  name: string,
  server: string,
  place: string,
  env: NodeJS.ProcessEnv,
  timeLimit = TIME_LIMIT_MS,
): Promise<Login | undefined> {
  const program = `docker-credential-${name}`;
  const path = /^[A-Za-z0-9._-]{1,64}$/.test(name) ? await findProgram(program, env.PATH) : undefined;
  if (path === undefined) {
    throw new CarportError('E_CREDENTIALS', `\`${program}\`, which ${place} names, is not on PATH`, {
      hint: 'install it, or take it out of that file',
    });
  }
  const output = await ask({ path, program, timeLimit }, server, env);
  if (output === undefined) return undefined;
  const parsed = v.safeParse(answer, jsonOf(output));
  if (!parsed.success) throw failed(program, server, 'it printed something else than a login');
  const { Username: user, Secret: secret } = parsed.output;
  if (secret === '') return undefined;
  return user === TOKEN_USER ? { kind: 'identity', token: secret } : { kind: 'password', user, password: secret };
}

interface Helper {
  readonly path: string;
  readonly program: string;
  readonly timeLimit: number;
}

/** What it prints; it is told the server on its input, and nothing in its arguments. */
async function ask(
  { path, program, timeLimit }: Helper,
  server: string,
  env: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  const { stdout, stderr, failure } = await runProgram(path, ['get'], {
    ...{ env, input: server, timeLimit, outputLimit: ANSWER_LIMIT },
  });
  if (failure === undefined) return stdout;
  if (failure.reason === 'timed-out') throw failed(program, server, 'it took too long');
  if (failure.reason === 'too-much-output') throw failed(program, server, 'it printed too much');
  // Where it does not know one it says so on its output, and fails.
  if (/credentials not found|no credentials|no such/i.test(`${stdout} ${stderr}`)) return undefined;
  throw failed(program, server, 'it failed');
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Without what it has printed, which may be a secret. */
function failed(program: string, server: string, why: string): CarportError {
  return new CarportError('E_CREDENTIALS', `\`${program}\` gives no password for \`${server}\`: ${why}`, {
    hint: `\`echo ${server} | ${program} get\` shows what it says`,
  });
}
