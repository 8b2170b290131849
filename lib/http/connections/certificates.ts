/** Certificate authorities of the environment, in addition to Node's. */

import { readFile } from 'node:fs/promises';
import { rootCertificates } from 'node:tls';

/**
 * Files of certificate authorities as Amazon's tools, Nix, OpenSSL and curl are told of them. All that are set count: Nix's
 * profile sets its own on every machine, beside what users and companies set.
 */
const VARIABLES = ['AWS_CA_BUNDLE', 'NIX_SSL_CERT_FILE', 'SSL_CERT_FILE', 'CURL_CA_BUNDLE', 'GIT_SSL_CAINFO'];

/** Node's own variable, which Node has read; what it names would be lost when others are given. */
const NODE_VARIABLE = 'NODE_EXTRA_CA_CERTS';

export interface Authorities {
  /** PEM texts, Node's roots among them; `undefined` for those that Node trusts anyway. */
  readonly trusted: readonly string[] | undefined;
  /** A line for each variable whose file gives none: they matter when a certificate is not trusted. */
  readonly unusable: readonly string[];
}

/** Reads the certificate authorities that variables name. A file that cannot be read is no error: it may not be needed. */
export async function readAuthorities(env: NodeJS.ProcessEnv): Promise<Authorities> {
  const variables = [...VARIABLES, NODE_VARIABLE].filter((name) => env[name]);
  const read = await Promise.all(variables.map((name) => readCertificates(name, env[name]!)));
  const unusable = read.flatMap((each) => ('unusable' in each ? [each.unusable] : []));
  const texts = new Set(read.flatMap((each) => ('text' in each ? [each.text] : [])));
  const knowsAll = variables.every((name) => env[name] === env[NODE_VARIABLE]);
  return { trusted: knowsAll || texts.size === 0 ? undefined : [...rootCertificates, ...texts], unusable };
}

async function readCertificates(
  variable: string,
  file: string,
): Promise<{ readonly text: string } | { readonly unusable: string }> {
  try {
    const text = await readFile(file, 'utf8');
    if (/-----BEGIN (TRUSTED )?CERTIFICATE-----/.test(text)) return { text };
    return { unusable: `\`${file}\` (${variable}) holds no certificate` };
  } catch (error) {
    const reason =
      error instanceof Error && 'code' in error && error.code === 'ENOENT' ? 'is not there' : 'cannot be read';
    return { unusable: `\`${file}\` (${variable}) ${reason}` };
  }
}
