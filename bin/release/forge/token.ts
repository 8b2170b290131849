/** Who one is at a forge: a token, out of a file or of the environment, and never of the command line. */

import { CarportError } from '../../../lib/errors.js';
import type { ForgeKind } from '../../../lib/forge/contract.js';
import type { ForgePlace } from '../../../lib/forge/place.js';
import { isLoopbackName } from '../../../lib/http/ip-address.js';
import { rememberSecret } from '../../../lib/known-secrets.js';
import type { Context } from '../../cli/context.js';
import { readToken } from '../../settings/token-file.js';

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
  if (file !== undefined) return checked(await readToken(file, '--token-file', context), `\`${file}\` (--token-file)`);
  const { env } = context;
  const isOfOther = isOfOtherJob(place, env);
  const name = [OWN, ...variablesOf(place, env).filter((each) => !isOfOther(env[each]))].find((each) => env[each]);
  return name === undefined ? undefined : checked(env[name]!, name);
}

/** That of another forge is not sent: `GITHUB_TOKEN` is one of the forge whose job this is, whatever kind that is. */
function variablesOf({ kind, base }: ForgePlace, env: NodeJS.ProcessEnv): readonly string[] {
  const job = originOfJob(env);
  const isOfJob = job === base.origin;
  if (kind !== 'github') return [...VARIABLES[kind], ...(isOfJob ? ['GITHUB_TOKEN'] : [])];
  if (base.hostname === 'github.com' || base.hostname.endsWith('.ghe.com')) return GITHUB;
  // On this machine nobody else hears of it.
  if (job === undefined && isLoopbackName(base.hostname)) return [...ENTERPRISE, ...GITHUB];
  return [...ENTERPRISE, ...(isOfJob ? ['GITHUB_TOKEN'] : [])];
}

/** Whether a token is that of a job of another forge, under whatever name: jobs give it names such as `GH_TOKEN`, too. */
function isOfOtherJob({ base }: ForgePlace, env: NodeJS.ProcessEnv): (token: string | undefined) => boolean {
  const job = originOfJob(env);
  const isOther = job !== undefined && job !== base.origin && Boolean(env.GITHUB_TOKEN);
  return (token) => isOther && token === env.GITHUB_TOKEN;
}

function originOfJob({ GITHUB_SERVER_URL: server = '' }: NodeJS.ProcessEnv): string | undefined {
  return URL.canParse(server) ? new URL(server).origin : undefined;
}

/** What a header cannot have would end up in an error. */
function checked(text: string, place: string): string {
  const token = text.trim();
  rememberSecret(token);
  if (/^[\x21-\x7e]{1,4096}$/.test(token)) return token;
  throw new CarportError('E_CREDENTIALS', `what ${place} has is no token`, { hint: 'a token is one word of ASCII' });
}
