/** Programs that keep passwords: `docker-credential-NAME`. Source: docker-credential-helpers' protocol. */

import * as v from 'valibot';
import { CarportError } from '../../errors.js';
import { findProgram } from '../../process/find-program.js';
import { filterThrough, ProgramFailure } from '../../process/run.js';
import type { Login } from './login.js';

const ANSWER_LIMIT = 64 * 1024;

/** A program may ask its user for something, but not for ever. */
const TIME_LIMIT_MS = 60_000;

const answer = v.object({ Username: v.string(), Secret: v.string() });

/** The user that stands for a token. */
const TOKEN_USER = '<token>';

/** Asks a helper for a server; `undefined` where it knows none. `place` is what names the helper. */
export async function askHelper(
  name: string,
  server: string,
  place: string,
  env: NodeJS.ProcessEnv,
): Promise<Login | undefined> {
  const program = `docker-credential-${name}`;
  const path = /^[A-Za-z0-9._-]{1,64}$/.test(name) ? await findProgram(program, env.PATH) : undefined;
  if (path === undefined) {
    throw new CarportError('E_CREDENTIALS', `\`${program}\`, which ${place} names, is not on PATH`, {
      hint: 'install it, or take it out of that file',
    });
  }
  const output = await ask(path, program, server, env);
  if (output === undefined) return undefined;
  const parsed = v.safeParse(answer, jsonOf(output));
  if (!parsed.success) throw failed(program, server, 'it printed something else than a login');
  const { Username: user, Secret: secret } = parsed.output;
  if (secret === '') return undefined;
  return user === TOKEN_USER ? { kind: 'identity', token: secret } : { kind: 'password', user, password: secret };
}

/** What it prints; it is told the server on its input, and nothing in its arguments. */
async function ask(path: string, program: string, server: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const pieces: Uint8Array[] = [];
  let [size, isLate] = [0, false];
  const answers = filterThrough({ program: path, arguments: ['get'], env, extendEnv: false }, bytesOf(server));
  const timer = setTimeout(() => {
    isLate = true;
    void answers.return(undefined);
  }, TIME_LIMIT_MS);
  try {
    for await (const bytes of answers) {
      pieces.push(Buffer.from(bytes));
      size += bytes.length;
      if (size > ANSWER_LIMIT) throw failed(program, server, 'it printed too much');
    }
  } catch (error) {
    if (!(error instanceof ProgramFailure)) throw error;
    // Where it does not know one it says so on its output, and fails.
    if (/credentials not found|no credentials|no such/i.test(`${Buffer.concat(pieces)} ${error.message}`))
      return undefined;
    throw failed(program, server, 'it failed');
  } finally {
    clearTimeout(timer);
  }
  if (isLate) throw failed(program, server, 'it took too long');
  return Buffer.concat(pieces).toString('utf8');
}

async function* bytesOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
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
