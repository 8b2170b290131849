/** Who one is at an index: a token or password, out of a file, of the environment or of netrc, and never of the command line. */

import { CarportError } from '../../../lib/errors.js';
import { basicAuthorization } from '../../../lib/http/basic.js';
import { createNetrc } from '../../../lib/http/netrc.js';
import { rememberSecret } from '../../../lib/known-secrets.js';
import type { Context } from '../../cli/context.js';
import { readToken } from '../../settings/token-file.js';

/** What is said of it on the command line. */
export interface LoginOptions {
  readonly user?: string | undefined;
  readonly tokenFile?: string | undefined;
}

/** The name that goes with a token (PyPI, Gitea). */
const TOKEN_USER = '__token__';

/** In this order; those of twine and uv are what jobs have already. */
const VARIABLES = ['CARPORT_UPLOAD_TOKEN', 'TWINE_PASSWORD', 'UV_PUBLISH_TOKEN', 'UV_PUBLISH_PASSWORD'];

/** The `Authorization` for an index; nothing where there is no password. Throws `E_CREDENTIALS` for what cannot be one. */
export async function authorizationFor(
  url: URL,
  { user, tokenFile }: LoginOptions,
  context: Context,
): Promise<string | undefined> {
  const { env } = context;
  const variable = tokenFile === undefined ? VARIABLES.find((each) => env[each]) : undefined;
  const text = tokenFile === undefined ? env[variable ?? ''] : await readToken(tokenFile, '--token-file', context);
  if (text === undefined) {
    if (user === undefined) return createNetrc(env)(url.hostname);
    throw new CarportError('E_CREDENTIALS', `there is no password of \`${user}\``, {
      hint: 'give it with `--token-file FILE` or CARPORT_UPLOAD_TOKEN',
    });
  }
  const password = checked(text, tokenFile === undefined ? variable! : `\`${tokenFile}\` (--token-file)`);
  const name = user ?? userOf(variable, env) ?? TOKEN_USER;
  return basicAuthorization(name, password);
}

/** The name that is set beside the password. */
function userOf(variable: string | undefined, env: NodeJS.ProcessEnv): string | undefined {
  if (variable === 'UV_PUBLISH_TOKEN') return undefined;
  return (variable === 'UV_PUBLISH_PASSWORD' ? env.UV_PUBLISH_USERNAME : env.TWINE_USERNAME) || undefined;
}

function checked(text: string, place: string): string {
  const password = text.replace(/\r?\n$/, '');
  rememberSecret(password);
  if (password !== '' && !/[\x00-\x1f\x7f]/.test(password)) return password;
  throw new CarportError('E_CREDENTIALS', `what ${place} has is no token and no password`, { hint: 'it is one line' });
}
