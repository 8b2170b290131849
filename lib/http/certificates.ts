/** Certificate authorities. */

import { readFile } from 'node:fs/promises';
import { rootCertificates } from 'node:tls';

/** Files of certificate authorities as curl, Nix and the AWS tools are told of them; the first that is set counts. */
const VARIABLES = ['AWS_CA_BUNDLE', 'NIX_SSL_CERT_FILE', 'SSL_CERT_FILE'];

/** Node's own variable; what it names would be lost when others are given. */
const NODE_VARIABLE = 'NODE_EXTRA_CA_CERTS';

/** The certificate authorities to trust; `undefined` for those that Node trusts anyway. */
export async function readAuthorities(env: NodeJS.ProcessEnv): Promise<readonly string[] | undefined> {
  const variable = VARIABLES.find((name) => env[name]);
  if (variable === undefined || env[variable] === env[NODE_VARIABLE]) return undefined;
  const files = [env[NODE_VARIABLE], env[variable]].filter((file) => file !== undefined && file !== '');
  // A variable may be left from elsewhere; what is missing then shows when a certificate is not trusted.
  const read = await Promise.all(files.map((file) => readFile(file!, 'utf8').catch(() => undefined)));
  return read.at(-1) === undefined ? undefined : [...rootCertificates, ...read.filter((text) => text !== undefined)];
}
