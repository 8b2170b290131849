/** Whose requests these are, and where that was looked for. */

import { readFile } from 'node:fs/promises';
import { CarportError, isErrno } from '../../errors.js';
import { rememberSecret } from '../../known-secrets.js';
import { profileEndpoint, profileFiles, profileName } from './profile.js';
import type { Credentials } from './sign.js';

export interface Identity {
  /** Credentials that are valid now; those that expire are asked for again in time. */
  credentials(): Promise<Credentials>;
  readonly region: string;
  /** The server that the profile names, where the request named none. */
  readonly endpoint?: string;
}

export interface IdentityRequest {
  /** For the message. */
  readonly cache: string;
  readonly profile: string | undefined;
  readonly region: string | undefined;
  /** Scheme, host and port, where they are known without a profile. */
  readonly endpoint: string | undefined;
  readonly env: NodeJS.ProcessEnv;
}

/** Nix's default, and Amazon's. */
const DEFAULT_REGION = 'us-east-1';

/** Credentials that expire are replaced so long before. */
const MARGIN_MS = 5 * 60 * 1000;

/**
 * Whose requests these are: the profile that the URL names, or else the environment (`AWS_ACCESS_KEY_ID` and
 * `AWS_SECRET_ACCESS_KEY`, or files that `…_FILE` names), or else what the AWS SDK finds: profiles, SSO, web identity,
 * the container's role. Throws `E_CREDENTIALS` with every place that was looked at.
 */
export async function resolveIdentity(request: IdentityRequest): Promise<Identity> {
  const { env, profile } = request;
  const region = request.region ?? (env.AWS_REGION || env.AWS_DEFAULT_REGION || undefined);
  const named = request.endpoint ?? (await profileEndpoint(profile, env));
  const endpoint = named === undefined ? {} : { endpoint: named };
  const fixed = profile === undefined ? await fromEnvironment(env) : undefined;
  remember(fixed);
  if (fixed) return { ...endpoint, credentials: async () => fixed, region: region ?? DEFAULT_REGION };

  const { createSdkClient } = await import('./sdk.js');
  const sdk = createSdkClient({ profile, metadata: asksMetadata(env) });
  try {
    let current = await sdk.config.credentials();
    remember(current);
    const credentials = async () => {
      const expires = current.expiration?.getTime();
      if (expires !== undefined && expires - Date.now() < MARGIN_MS) {
        current = await sdk.config.credentials();
        remember(current);
      }
      return current;
    };
    return { ...endpoint, credentials, region: region ?? (await sdk.config.region().catch(() => DEFAULT_REGION)) };
  } catch (cause) {
    throw await noCredentials(request, cause);
  } finally {
    sdk.destroy();
  }
}

/** No message of a server may tell them. */
function remember(credentials: Credentials | undefined): void {
  rememberSecret(credentials?.secretAccessKey);
  rememberSecret(credentials?.sessionToken);
}

async function fromEnvironment(env: NodeJS.ProcessEnv): Promise<Credentials | undefined> {
  const names = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'] as const;
  const [accessKeyId, secretAccessKey, sessionToken] = await Promise.all(names.map((name) => fromVariable(name, env)));
  if (accessKeyId && secretAccessKey) return { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) };
  if (!accessKeyId && !secretAccessKey) return undefined;
  const [there, missing] = accessKeyId ? [names[0], names[1]] : [names[1], names[0]];
  throw new CarportError('E_CREDENTIALS', `${there} is set, but ${missing} is not`, {
    hint: `set ${missing} as well, or ${missing}_FILE to a file that has it`,
  });
}

/** A variable, or the content of the file that its `_FILE` names, as containers are given secrets. */
async function fromVariable(name: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const file = env[`${name}_FILE`];
  if (env[name] || !file) return env[name] || undefined;
  let value: string;
  try {
    value = (await readFile(file, 'utf8')).trim();
  } catch (cause) {
    throw new CarportError('E_CREDENTIALS', `the file \`${file}\` of ${name}_FILE cannot be read`, {
      cause,
      hint: 'check the path and its permissions',
    });
  }
  if (value !== '') return value;
  throw new CarportError('E_CREDENTIALS', `the file \`${file}\` of ${name}_FILE is empty`, {
    hint: `write ${name} into it, or unset ${name}_FILE`,
  });
}

/** What the SDK says when it has found nothing: the places tell more. */
const NOTHING_FOUND = /^Could not load credentials from any providers/;

/** Each place that was looked at is a cause of its own, in their order. */
async function noCredentials({ cache, profile, env }: IdentityRequest, cause: unknown): Promise<CarportError> {
  const files = profileFiles(env);
  const name = profileName(profile, env);
  const profiles = await Promise.all([files.credentials, files.config].map((file) => lookForProfile(name, file)));
  const others = profile === undefined ? otherPlaces(env) : [];
  const reason = cause instanceof Error && !NOTHING_FOUND.test(cause.message) ? [cause.message.split('\n')[0]!] : [];
  const places = [...(profile === undefined ? [NOT_IN_ENVIRONMENT] : []), ...profiles, ...others, ...reason];
  return new CarportError('E_CREDENTIALS', `there are no credentials for \`${cache}\``, {
    cause: places.reduceRight<Error | undefined>(placeError, undefined),
    hint:
      profile === undefined
        ? 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or make a profile with `aws configure`'
        : `make the profile with \`aws configure --profile ${profile}\`, or leave \`profile=\` out`,
  });
}

const NOT_IN_ENVIRONMENT =
  'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set, nor AWS_ACCESS_KEY_ID_FILE and AWS_SECRET_ACCESS_KEY_FILE';

/** Where it was thrown says nothing. */
function placeError(next: Error | undefined, text: string): Error {
  return Object.assign(new Error(text, next && { cause: next }), { stack: text });
}

async function lookForProfile(profile: string, file: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    return `\`${file}\` ${isErrno(error, 'ENOENT', 'ENOTDIR') ? 'is not there' : 'cannot be read'}`;
  }
  const sections = [...text.matchAll(/^\s*\[\s*(?:profile\s+)?["']?([^\]"']*?)["']?\s*\]/gm)].map(([, name]) => name);
  const lacks = sections.includes(profile) ? 'no whole credentials in the' : 'no';
  return `\`${file}\` has ${lacks} profile \`${profile}\``;
}

function otherPlaces(env: NodeJS.ProcessEnv): readonly string[] {
  const variables = [
    ...['AWS_WEB_IDENTITY_TOKEN_FILE', 'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI', 'AWS_CONTAINER_CREDENTIALS_FULL_URI'],
  ];
  return [
    ...variables.map((name) => `${name} ${env[name] ? 'is set, and gives none' : 'is not set'}`),
    asksMetadata(env)
      ? 'the metadata address of the machine gives none'
      : 'the metadata address of the machine is not asked (AWS_EC2_METADATA_DISABLED=false asks it)',
  ];
}

/** Elsewhere than on Amazon's machines nobody answers there, after seconds. */
function asksMetadata(env: NodeJS.ProcessEnv): boolean {
  return env.AWS_EC2_METADATA_DISABLED === 'false' || env.AWS_EC2_METADATA_SERVICE_ENDPOINT !== undefined;
}
