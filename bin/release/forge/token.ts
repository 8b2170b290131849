/** Who one is at a forge: a token, out of a file or of the environment, and never of the command line. */

import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { CarportError } from '../../../lib/errors.js';
import type { ForgeKind } from '../../../lib/forge/contract.js';
import type { ForgePlace } from '../../../lib/forge/place.js';
import { rememberSecret } from '../../../lib/known-secrets.js';
import { type Context, workingDirectory } from '../../cli/context.js';
import { descriptorOf, readDescriptor } from '../../settings/held-key.js';

const OWN = 'CARPORT_FORGE_TOKEN';

/** Of GitHub's own machines, and of those of others: as its own client has it. */
const GITHUB = ['GITHUB_TOKEN', 'GH_TOKEN'];
const ENTERPRISE = ['GH_ENTERPRISE_TOKEN', 'GITHUB_ENTERPRISE_TOKEN'];

const VARIABLES: Readonly<Record<Exclude<ForgeKind, 'github'>, readonly string[]>> = {
  gitea: ['GITEA_TOKEN'],
  forgejo: ['FORGEJO_TOKEN', 'GITEA_TOKEN'],
};

/** The token for a forge; nothing where there is none. Throws `E_CREDENTIALS` for what is no token. */
export async function tokenFor(
  place: ForgePlace,
  file: string | undefined,
  context: Context,
): Promise<string | undefined> {
  if (file !== undefined) return checked(await readToken(file, context), `\`${file}\` (--token-file)`);
  const { env } = context;
  const name = [OWN, ...variablesOf(place, env)].find((each) => env[each]);
  return name === undefined ? undefined : checked(env[name]!, name);
}

/** That of another forge is not sent: `GITHUB_TOKEN` is one of the forge whose job this is, whatever kind that is. */
function variablesOf({ kind, base }: ForgePlace, env: NodeJS.ProcessEnv): readonly string[] {
  if (kind === 'github') {
    const isTheirs = base.hostname === 'github.com' || base.hostname.endsWith('.ghe.com');
    return isTheirs ? GITHUB : [...ENTERPRISE, ...GITHUB];
  }
  const server = env.GITHUB_SERVER_URL ?? '';
  const isOfJob = URL.canParse(server) && new URL(server).origin === base.origin;
  return [...VARIABLES[kind], ...(isOfJob ? ['GITHUB_TOKEN'] : [])];
}

async function readToken(file: string, context: Context): Promise<string> {
  const descriptor = descriptorOf(file);
  if (descriptor !== undefined) return readDescriptor(descriptor, file);
  try {
    return await readFile(resolve(workingDirectory(context), file), 'utf8');
  } catch (cause) {
    throw new CarportError('E_CREDENTIALS', `\`${file}\` (--token-file) cannot be read`, {
      cause,
      hint: 'name the file with the token',
    });
  }
}

/** What a header cannot have would end up in an error. */
function checked(text: string, place: string): string {
  const token = text.trim();
  rememberSecret(token);
  if (/^[\x21-\x7e]{1,4096}$/.test(token)) return token;
  throw new CarportError('E_CREDENTIALS', `what ${place} has is no token`, { hint: 'a token is one word of ASCII' });
}
