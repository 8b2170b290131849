import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { CarportError } from '../../../lib/errors.js';
import type { Credentials } from './sign.js';

export interface Identity {
  /** Credentials that are valid now; those that expire are asked for again in time. */
  credentials(): Promise<Credentials>;
  readonly region: string;
}

export interface IdentityRequest {
  /** For the message. */
  readonly cache: string;
  readonly profile: string | undefined;
  readonly region: string | undefined;
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
  const region = request.region ?? env.AWS_REGION ?? env.AWS_DEFAULT_REGION;
  const fixed = profile === undefined ? await fromEnvironment(env) : undefined;
  if (fixed) return { credentials: async () => fixed, region: region ?? DEFAULT_REGION };

  const { createSdkClient } = await import('./sdk.js');
  const sdk = createSdkClient({ profile, env });
  try {
    let current = await sdk.config.credentials();
    const credentials = async () => {
      const expires = current.expiration?.getTime();
      if (expires !== undefined && expires - Date.now() < MARGIN_MS) current = await sdk.config.credentials();
      return current;
    };
    return { credentials, region: region ?? (await sdk.config.region().catch(() => DEFAULT_REGION)) };
  } catch (cause) {
    throw noCredentials(request, cause);
  } finally {
    sdk.destroy();
  }
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
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (cause) {
    throw new CarportError('E_CREDENTIALS', `the file \`${file}\` of ${name}_FILE cannot be read`, {
      cause,
      hint: 'check the path and its permissions',
    });
  }
}

function noCredentials({ cache, profile, env }: IdentityRequest, cause: unknown): CarportError {
  const state = (name: string) => `${name} (${env[name] ? 'set' : 'not set'})`;
  const files = [
    env.AWS_SHARED_CREDENTIALS_FILE ?? join(env.HOME ?? homedir(), '.aws/credentials'),
    env.AWS_CONFIG_FILE ?? join(env.HOME ?? homedir(), '.aws/config'),
  ];
  const fromEnv = [
    'AWS_ACCESS_KEY_ID',
    'AWS_ACCESS_KEY_ID_FILE',
    'AWS_SECRET_ACCESS_KEY',
    'AWS_SECRET_ACCESS_KEY_FILE',
  ];
  const fromRoles = [
    ...['AWS_WEB_IDENTITY_TOKEN_FILE', 'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI', 'AWS_CONTAINER_CREDENTIALS_FULL_URI'],
  ];
  const name = profile ?? env.AWS_PROFILE ?? 'default';
  const places = [
    ...(profile === undefined ? fromEnv.map(state) : []),
    `the profile \`${name}\` in ${files.map((file) => `\`${file}\``).join(' and ')}`,
    ...(profile === undefined ? fromRoles.map(state) : []),
    ...(profile === undefined
      ? [
          asksMetadata(env)
            ? 'the metadata address of the machine'
            : 'not the metadata address of the machine (AWS_EC2_METADATA_DISABLED=false asks it)',
        ]
      : []),
  ];
  return new CarportError('E_CREDENTIALS', `there are no credentials for \`${cache}\``, {
    cause: new Error(`looked at: ${places.join(', ')}`, { cause }),
    hint:
      profile === undefined
        ? 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or make a profile with `aws configure`'
        : `make the profile with \`aws configure --profile ${profile}\`, or leave \`profile=\` out`,
  });
}

/** Elsewhere than on Amazon's machines nobody answers there, after seconds. */
export function asksMetadata(env: NodeJS.ProcessEnv): boolean {
  return env.AWS_EC2_METADATA_DISABLED === 'false' || env.AWS_EC2_METADATA_SERVICE_ENDPOINT !== undefined;
}
