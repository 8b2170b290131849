/** What the profile of Amazon's tools says of a server beside credentials. */

import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { CarportError } from '../../errors.js';
import { homeDirectory } from '../../home-directory.js';

/** The files that hold profiles, as Amazon's tools find them; an empty variable is one that is not set. */
export function profileFiles(env: NodeJS.ProcessEnv): { readonly credentials: string; readonly config: string } {
  const home = homeDirectory(env);
  return {
    credentials: env.AWS_SHARED_CREDENTIALS_FILE || join(home, '.aws/credentials'),
    config: env.AWS_CONFIG_FILE || join(home, '.aws/config'),
  };
}

/** The profile that counts where no URL names one. */
export function profileName(profile: string | undefined, env: NodeJS.ProcessEnv): string {
  return profile ?? (env.AWS_PROFILE || 'default');
}

/**
 * The endpoint that a profile names for S3: `endpoint_url` of its `services` section's `s3`, or its own. `undefined` when it
 * names none. Throws `E_USAGE` when it names something else than a server, or a section that is not there.
 * (AWS SDKs and Tools Reference Guide, "Service-specific endpoints".)
 */
export async function profileEndpoint(
  profile: string | undefined,
  env: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  const { credentials, config } = profileFiles(env);
  if (ignoresEndpoints(env) || !(await anyIsThere([credentials, config]))) return undefined;
  const { parseKnownFiles } = await import('@smithy/core/config');
  const sections = await parseKnownFiles({ filepath: credentials, configFilepath: config, ignoreCache: true });
  const name = profileName(profile, env);
  const own = sections[name];
  if (own === undefined || own.ignore_configured_endpoint_urls === 'true') return undefined;
  const services = own.services === undefined ? undefined : sections[`services.${own.services}`];
  const where = `the profile \`${name}\` in \`${config}\``;
  if (own.services !== undefined && services === undefined) {
    throw new CarportError('E_USAGE', `${where} names the section \`services ${own.services}\`, which is not there`, {
      hint: `add \`[services ${own.services}]\`, or take \`services\` out of the profile`,
    });
  }
  const endpoint = services?.['s3.endpoint_url'] ?? own.endpoint_url;
  return endpoint === undefined || endpoint === '' ? undefined : checkEndpoint(endpoint, where);
}

/** Whether variables say that endpoints of variables and profiles do not count. */
export function ignoresEndpoints(env: NodeJS.ProcessEnv): boolean {
  return env.AWS_IGNORE_CONFIGURED_ENDPOINT_URLS?.toLowerCase() === 'true';
}

function checkEndpoint(text: string, where: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.pathname === '/' && url.search === '') {
    return url.origin;
  }
  throw new CarportError('E_USAGE', `the \`endpoint_url\` of ${where} is not the URL of a server`, {
    hint: 'write `https://HOST` or `http://HOST:PORT`',
  });
}

async function anyIsThere(files: readonly string[]): Promise<boolean> {
  const there = await Promise.all(
    files.map((file) =>
      access(file).then(
        () => true,
        () => false,
      ),
    ),
  );
  return there.includes(true);
}
