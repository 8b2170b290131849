import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CarportError } from '#lib/errors.js';
import { type IdentityRequest, resolveIdentity } from '#lib/object-store/s3/credentials.js';
import { useDirectory } from '../../../support/files.js';

const KEYS = { AWS_ACCESS_KEY_ID: 'env-id', AWS_SECRET_ACCESS_KEY: 'env-secret' };

describe('credentials', () => {
  const home = useDirectory();
  // The SDK asks this process's environment.
  beforeEach(() => {
    for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) vi.stubEnv(name, undefined);
    vi.stubEnv('HOME', home());
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  });
  afterEach(() => void vi.unstubAllEnvs());

  const resolve = (env: Readonly<Record<string, string>> = {}, request: Partial<IdentityRequest> = {}) => {
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
    const nothing = { profile: undefined, region: undefined, endpoint: undefined };
    return resolveIdentity({ cache: 's3://nix', ...nothing, env: process.env, ...request });
  };
  const found = async (...args: Parameters<typeof resolve>) => {
    const { credentials, region } = await resolve(...args);
    const { accessKeyId, secretAccessKey, sessionToken } = await credentials();
    return [accessKeyId, secretAccessKey, sessionToken, region];
  };
  const fail = async (...args: Parameters<typeof resolve>) => {
    const error = await resolve(...args).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(CarportError);
    expect((error as CarportError).code).toBe('E_CREDENTIALS');
    return error as CarportError;
  };
  const writeProfiles = async (credentials: string, config = '') => {
    await mkdir(`${home()}/.aws`);
    await writeFile(`${home()}/.aws/credentials`, credentials);
    await writeFile(`${home()}/.aws/config`, config);
  };
  const profile = (id: string, more = '') =>
    `aws_access_key_id = ${id}\naws_secret_access_key = ${id}-secret\n${more}\n`;

  it('pass over variables that are set to nothing', async () => {
    expect((await found({ ...KEYS, AWS_REGION: '' }))[3]).toBe('us-east-1');
    expect((await found({ ...KEYS, AWS_REGION: '', AWS_DEFAULT_REGION: 'second' }))[3]).toBe('second');
    await writeProfiles(`[default]\n${profile('own')}`);
    const empty = {
      AWS_DEFAULT_REGION: '',
      AWS_PROFILE: '',
      AWS_CONFIG_FILE: '',
      AWS_SHARED_CREDENTIALS_FILE: '',
      AWS_SESSION_TOKEN: '',
    };
    expect(await found({ AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '', AWS_REGION: '', ...empty })).toEqual([
      ...['own', 'own-secret', undefined, 'us-east-1'],
    ]);
  });

  it('come from the environment, with the region', async () => {
    expect(await found(KEYS)).toEqual(['env-id', 'env-secret', undefined, 'us-east-1']);
    const more = { ...KEYS, AWS_SESSION_TOKEN: 'token', AWS_DEFAULT_REGION: 'second' };
    expect(await found(more)).toEqual(['env-id', 'env-secret', 'token', 'second']);
    expect((await found({ ...more, AWS_REGION: 'first' }))[3]).toBe('first');
    expect((await found({ ...more, AWS_REGION: 'first' }, { region: 'url' }))[3]).toBe('url');
  });

  it('come from files that the environment names', async () => {
    await writeFile(`${home()}/id`, 'file-id\n');
    await writeFile(`${home()}/secret`, 'file-secret\n');
    const files = { AWS_ACCESS_KEY_ID_FILE: `${home()}/id`, AWS_SECRET_ACCESS_KEY_FILE: `${home()}/secret` };
    expect(await found(files)).toEqual(['file-id', 'file-secret', undefined, 'us-east-1']);
    expect((await found({ AWS_ACCESS_KEY_ID: 'env-id' }))[0], 'the variable itself').toBe('env-id');
  });

  it('come from a profile: the default one, that of AWS_PROFILE, that of the URL', async () => {
    const profiles = ['default', 'ci', 'mine'].map((name) => `[${name}]\n${profile(name)}`);
    await writeProfiles(profiles.join(''), '[profile ci]\nregion = garage\n[profile mine]\nregion = mars\n');
    expect(await found()).toEqual(['default', 'default-secret', undefined, 'us-east-1']);
    expect(await found({ AWS_PROFILE: 'ci' })).toEqual(['ci', 'ci-secret', undefined, 'garage']);
    vi.stubEnv('AWS_PROFILE', undefined);
    const warn = vi.spyOn(console, 'warn');
    expect(await found(KEYS, { profile: 'mine' }), 'before the environment').toEqual([
      ...['mine', 'mine-secret', undefined, 'mars'],
    ]);
    expect(warn, 'that they are there, too').not.toHaveBeenCalled();
    warn.mockRestore();
  });

  it('come from files of profiles elsewhere', async () => {
    await writeFile(`${home()}/elsewhere`, `[default]\n${profile('other', 'aws_session_token = t')}`);
    expect(await found({ AWS_SHARED_CREDENTIALS_FILE: `${home()}/elsewhere` })).toEqual([
      ...['other', 'other-secret', 't', 'us-east-1'],
    ]);
  });

  it('are asked for again before they expire', async () => {
    const script = `${home()}/process`;
    const count = `${home()}/count`;
    await writeFile(
      script,
      [
        '#!/bin/sh',
        `echo x >> ${count}`,
        `n=$(wc -l < ${count} | tr -d ' ')`,
        'minutes=$((n * 4))',
        'expires=$(date -u -d "+$minutes minutes" +%Y-%m-%dT%H:%M:%SZ)',
        'echo "{\\"Version\\":1,\\"AccessKeyId\\":\\"id-$n\\",\\"SecretAccessKey\\":\\"s\\",\\"Expiration\\":\\"$expires\\"}"',
        '',
      ].join('\n'),
    );
    await chmod(script, 0o755);
    await writeProfiles('', `[default]\ncredential_process = ${script}\n`);
    const { credentials } = await resolve();
    // Four minutes are too few, though good until others are there; eight are enough.
    const id = async () => (await credentials()).accessKeyId;
    expect(await id()).toBe('id-1');
    await expect.poll(id, { interval: 10 }).toBe('id-2');
    for (let request = 0; request < 4; request++) expect((await credentials()).accessKeyId).toBe('id-2');
    expect((await readFile(count, 'utf8')).length).toBe(4);
  });

  it('may be half there, which is said', async () => {
    const error = await fail({ AWS_ACCESS_KEY_ID: 'env-id' });
    expect(error.message).toBe('AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not');
    expect(error.hint).toContain('AWS_SECRET_ACCESS_KEY_FILE');
    vi.unstubAllEnvs();
    vi.stubEnv('AWS_ACCESS_KEY_ID', undefined);
    expect((await fail({ AWS_SECRET_ACCESS_KEY: 'geheim' })).message).toBe(
      'AWS_SECRET_ACCESS_KEY is set, but AWS_ACCESS_KEY_ID is not',
    );
  });

  it('may be in a file that is not there, or is empty', async () => {
    await writeFile(`${home()}/empty`, '\n');
    expect((await fail({ AWS_ACCESS_KEY_ID_FILE: `${home()}/none` })).message).toContain('cannot be read');
    expect((await fail({ AWS_ACCESS_KEY_ID_FILE: `${home()}/empty` })).message).toContain('is empty');
  });

  it('are nowhere: each place is named, and no secret', async () => {
    await writeProfiles(`[ci]\naws_secret_access_key = geheim\n`);
    const error = await fail({ AWS_PROFILE: 'ci' });
    const causes: string[] = [];
    for (let cause = error.cause; cause instanceof Error; cause = cause.cause) causes.push(cause.message);
    const text = [error.message, ...causes, error.hint].join('\n');
    for (const place of [
      ...['s3://nix', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY_FILE', '.aws/credentials', '.aws/config', '`ci`'],
      ...['AWS_WEB_IDENTITY_TOKEN_FILE', 'AWS_CONTAINER_CREDENTIALS_FULL_URI', 'metadata'],
    ]) {
      expect(text).toContain(place);
    }
    expect(text).not.toContain('geheim');
    const named = await fail({}, { profile: 'nobody' });
    expect((named.cause as Error).message).toContain('`nobody`');
    expect(named.hint).toContain('--profile nobody');
  });

  it('come with the endpoint of their profile, and of its services', async () => {
    const config = [
      '[default]\nendpoint_url = http://default.example.org',
      '[profile garage]\nendpoint_url = http://127.0.0.1:3900/',
      '[profile both]\nservices = mine\nendpoint_url = http://other.example.org',
      '[services mine]\ns3 =\n  endpoint_url = https://s3.example.org',
      '[profile without]\nservices = of-nobody',
      '[profile off]\nignore_configured_endpoint_urls = true\nendpoint_url = http://off.example.org',
      '[profile wrong]\nendpoint_url = garage:3900',
    ];
    await writeProfiles('', config.join('\n'));
    const endpointOf = async (env: Readonly<Record<string, string>>, request: Partial<IdentityRequest> = {}) =>
      (await resolve({ ...KEYS, ...env }, request)).endpoint;
    expect(await endpointOf({})).toBe('http://default.example.org');
    expect(await endpointOf({ AWS_PROFILE: 'garage' })).toBe('http://127.0.0.1:3900');
    expect(await endpointOf({ AWS_PROFILE: 'both' })).toBe('https://s3.example.org');
    expect(await endpointOf({ AWS_PROFILE: 'both' }, { endpoint: 'http://url.example.org' })).toBe(
      'http://url.example.org',
    );
    expect(await endpointOf({ AWS_PROFILE: 'off' })).toBeUndefined();
    for (const name of ['without', 'wrong']) {
      await expect(endpointOf({ AWS_PROFILE: name })).rejects.toThrow(`the profile \`${name}\` in`);
    }
    expect(await endpointOf({ AWS_PROFILE: 'both', AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: 'true' })).toBeUndefined();
  });
});
