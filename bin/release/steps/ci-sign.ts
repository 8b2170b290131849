/** The command `ci sign`. */

import { basename, dirname, resolve } from 'node:path';
import { CarportError, formatError, hasCode } from '../../../lib/errors.js';
import { requireTls } from '../../../lib/http/require-tls.js';
import { rememberSecret } from '../../../lib/known-secrets.js';
import { collectSmall } from '../../../lib/object-store/object-store.js';
import { type DroneRepository, signByDrone } from '../../../release/ci/drone-server.js';
import {
  DRONE_SECRET_SIZE,
  droneSignatureIn,
  isSameSignature,
  signDrone,
  withDroneSignature,
} from '../../../release/ci/drone-signature.js';
import { type ProjectFile, readProjectText, writeAll } from '../../../release/steps/edit.js';
import { type Context, note, workingDirectory, writeJson, writeLines } from '../../cli/context.js';
import { interruptible } from '../../cli/interrupt.js';
import { openSource } from '../../cli/source.js';
import { warnPeople } from '../../cli/warnings.js';
import { openClient } from '../../reporters/http-client.js';
import { readToken } from '../../settings/token-file.js';
import type { CiSignOptions } from '../ci-command.js';

const SECRET_VARIABLE = 'CARPORT_DRONE_SECRET';

/** Bytes of YAML. */
const MAX_YAML = 8 * 1024 * 1024;

/** Signs Drone's YAML, or sees whether its signature is right. */
export async function ciSign(word: string | undefined, options: CiSignOptions, context: Context): Promise<void> {
  const { write, verify, dryRun } = options;
  const file = word ?? '.drone.yml';
  if (write && (verify || file === '-')) {
    throw new CarportError('E_USAGE', `\`--write\` does not go with ${verify ? '`--verify`' : 'stdin'}`);
  }
  const path = resolve(workingDirectory(context), file);
  const found = file === '-' ? undefined : await readPipeline(path, file);
  if (found?.codec.isWide) throw formatError(`\`${file}\``, 'Drone reads UTF-8, and this is UTF-16');
  const text = found?.text ?? (await readStdin(context));
  const there = droneSignatureIn(text);
  const hmac = await signatureOf(text, options, context);
  if (verify) {
    if (there === undefined || !isSameSignature(there, hmac)) throw notSigned(file, there);
    if (options.json) return writeJson(context.stdout, { file, hmac, valid: true });
    return note(context, options, `the signature of \`${file}\` is right`);
  }
  const isNew = there !== hmac;
  const signed = withDroneSignature(text, hmac);
  if (write && isNew && !dryRun) await writeAll(dirname(path), [{ file: found!, text: signed }]);
  if (options.json)
    return writeJson(context.stdout, { file, hmac, written: write && isNew && !dryRun, changes: isNew });
  if (!write) return writeLines(context.stdout, [hmac]);
  const done = dryRun ? 'would be signed' : 'signed';
  note(context, options, isNew ? `\`${file}\`: ${done}` : `the signature of \`${file}\` is right already`);
}

async function readPipeline(path: string, file: string): Promise<ProjectFile> {
  const hint = 'name the file: `carport ci sign FILE`';
  try {
    return await readProjectText(dirname(path), basename(path), hint);
  } catch (error) {
    // A key in its place is known by the whole of it.
    if (hasCode(error, 'E_NOT_FOUND')) throw new CarportError('E_NOT_FOUND', `there is no file \`${file}\``, { hint });
    throw error;
  }
}

function notSigned(file: string, there: string | undefined): CarportError {
  const why =
    there === undefined ? 'has no signature' : 'has a signature that is not of what it says, or not by this secret';
  return new CarportError('E_SIGNATURE', `\`${file}\` ${why}`, {
    hint: 'see what has changed in it, and sign it: `carport ci sign --write`',
  });
}

/** By the secret of the repository where that is known, else by the server. */
async function signatureOf(text: string, options: CiSignOptions, context: Context): Promise<string> {
  const secret = await secretOf(options, context);
  if (secret !== undefined) return signDrone(text, secret);
  const repository = await repositoryOf(options, context);
  const stop = new AbortController();
  const http = openClient({ context, options, signal: stop.signal, emit: warnPeople(context) });
  try {
    return await interruptible(
      () => stop.abort(),
      () => signByDrone(http.transport(), repository, Buffer.from(text, 'latin1')),
    );
  } finally {
    http.close();
  }
}

async function secretOf({ secretFile }: CiSignOptions, context: Context): Promise<Uint8Array | undefined> {
  const place = secretFile === undefined ? SECRET_VARIABLE : `\`${secretFile}\` (--secret-file)`;
  const given =
    secretFile === undefined ? context.env[SECRET_VARIABLE] : await readToken(secretFile, '--secret-file', context);
  const text = given?.replace(/\r?\n$/, '');
  if (text === undefined || text === '') return undefined;
  rememberSecret(text);
  const bytes = Buffer.from(text);
  if (bytes.length >= DRONE_SECRET_SIZE) return bytes;
  throw new CarportError(
    'E_CREDENTIALS',
    `what ${place} has is no secret of a repository: it is shorter than ${DRONE_SECRET_SIZE} bytes`,
    {
      hint: 'Drone keeps it in its database; without it the server signs: set DRONE_SERVER and DRONE_TOKEN',
    },
  );
}

async function repositoryOf(
  { repository, server, tokenFile, plainHttp }: CiSignOptions,
  context: Context,
): Promise<DroneRepository> {
  const { env } = context;
  const address = server ?? env.DRONE_SERVER;
  const token = (
    tokenFile === undefined ? env.DRONE_TOKEN : await readToken(tokenFile, '--token-file', context)
  )?.trim();
  rememberSecret(token);
  if (!address || !token) {
    throw new CarportError('E_CREDENTIALS', 'it is not said what signs', {
      hint: `set DRONE_SERVER and DRONE_TOKEN, and the server does; or ${SECRET_VARIABLE}, or \`--secret-file FILE\`, with the secret of the repository`,
    });
  }
  if (!/^[\x21-\x7e]{1,4096}$/.test(token)) {
    throw new CarportError('E_CREDENTIALS', 'what is given for DRONE_TOKEN is no token', {
      hint: 'a token is one word of ASCII',
    });
  }
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (!url || !['https:', 'http:'].includes(url.protocol) || url.search !== '') {
    throw new CarportError('E_USAGE', 'the address of Drone is none', {
      hint: 'give one such as `https://drone.example.org`',
    });
  }
  if (url.username !== '' || url.password !== '') {
    throw new CarportError('E_USAGE', `the address of \`${url.host}\` has a user or a password in it`, {
      hint: 'give the token with DRONE_TOKEN or `--token-file FILE`',
    });
  }
  requireTls(url, plainHttp);
  const named = repository ?? env.DRONE_REPO ?? '';
  const [owner, name, ...more] = named.split('/');
  if (owner && name && more.length === 0 && ![owner, name].some((part) => /^\.{1,2}$/.test(part))) {
    return { server: url, owner, name, token };
  }
  throw new CarportError('E_USAGE', 'it is not said which repository', {
    hint: 'give `--repository OWNER/NAME`, or set DRONE_REPO',
  });
}

async function readStdin(context: Context): Promise<string> {
  return (await collectSmall(await openSource('-', context), MAX_YAML, 'stdin')).toString('latin1');
}
