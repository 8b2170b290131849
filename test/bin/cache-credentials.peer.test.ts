import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  cacheCommands,
  type ExpectedError,
  expectFailure,
  expectSuccess,
  preload,
  serve,
} from '../support/cache-commands.js';
import { describeWithGarage, useGarage } from '../support/garage.js';
import { createSampleStore, type SampleStore } from '../support/samples.js';
import { useSandbox } from '../support/sandbox.js';

describeWithGarage('credentials that Garage refuses', () => {
  const garage = useGarage();
  const box = useSandbox('all');
  let samples: SampleStore;
  let bucket: string;
  beforeAll(async () => {
    samples = await createSampleStore(box().root);
    bucket = await garage().freshBucket();
    const { init, push } = cacheCommands(garage().url(bucket), samples, box());
    for (const args of [init, push]) await box().succeed(args, { env: garage().env });
  });
  const dryRun = (args: readonly string[]) => (args[1] === 'erase' ? ['--dry-run'] : []);
  const failAll = async (env: Readonly<Record<string, string>>, expected: ExpectedError) => {
    const commands = cacheCommands(garage().url(bucket), samples, box());
    await Promise.all(Object.values(commands).map((args) => expectFailure(box(), args, env, expected)));
  };

  it('are in no output when they are accepted', async () => {
    const env = { ...garage().env, AWS_SESSION_TOKEN: 'a-token-of-a-session' };
    const { push, pull, ...others } = cacheCommands(garage().url(bucket), samples, box());
    await expectSuccess(box(), [...push, '--check-all'], env);
    // What is there asks nothing: others pull into a store that has not got it.
    const into = pull.map((arg) => (arg === box().path('never-made') ? box().path('made') : arg));
    await expectSuccess(box(), into, env);
    for (const args of Object.values(others)) await expectSuccess(box(), [...args, ...dryRun(args)], env);
  });

  it('are a key that it does not know', async () => {
    await failAll(
      { ...garage().env, AWS_ACCESS_KEY_ID: 'GK000000000000000000000000' },
      {
        ...{ code: 'E_CREDENTIALS', exitCode: 4 },
        message: /^`http:\/\/127\.0\.0\.1:\d+` does not know the access key$/,
        cause: 'No such key',
        hint: 'AWS_ACCESS_KEY_ID',
      },
    );
  });

  it('are a secret of another key', async () => {
    const secrets = { AWS_SECRET_ACCESS_KEY: 'f'.repeat(64), AWS_SESSION_TOKEN: 'a-token-of-a-session' };
    await failAll(
      { ...garage().env, ...secrets },
      {
        ...{ code: 'E_CREDENTIALS', exitCode: 4, message: 'says that the secret key is wrong' },
        ...{ cause: 'Invalid signature', hint: 'AWS_SECRET_ACCESS_KEY' },
      },
    );
  });

  it('are a key for another bucket', async () => {
    const other = await garage().freshBucket();
    const key = await garage().createKey('other', { bucket: other, read: true, write: true, owner: true });
    await failAll(
      { AWS_ACCESS_KEY_ID: key.accessKeyId, AWS_SECRET_ACCESS_KEY: key.secretAccessKey },
      {
        ...{ code: 'E_CREDENTIALS', exitCode: 4, message: `the access key may not read the bucket \`${bucket}\`` },
        ...{ cause: 'not allowed', hint: `\`garage bucket allow --read ${bucket} --key KEY\`` },
      },
    );
  });

  it('are a key that may only read: it reads, and does nothing else', async () => {
    const key = await garage().createKey('reader', { bucket, read: true, write: false, owner: false });
    const env = { AWS_ACCESS_KEY_ID: key.accessKeyId, AWS_SECRET_ACCESS_KEY: key.secretAccessKey };
    const url = garage().url(bucket);
    const { push, pull, info, ls, config, init, erase } = cacheCommands(url, samples, box());
    // What is there already needs no writing.
    for (const args of [push, pull, info, ls, config]) await box().succeed(args, { env });
    const store = box().path('more');
    await writeFile(box().path('work/new'), 'new');
    const path = (await box().succeed(['store', 'add', 'new', '--name', 'new', '--store', store])).stdout.trim();
    const refusal = { code: 'E_CREDENTIALS', exitCode: 4 };
    const mayNotWrite = { ...refusal, message: `may not write to the bucket \`${bucket}\``, hint: '--write' };
    for (const args of [['push', path, '--store', store, '--to', url], init, erase]) {
      const { exitCode, stdout, stderr } = await box().carport(args, { env });
      expect([exitCode, stdout]).toEqual([4, '']);
      expect(stderr).toContain(mayNotWrite.message);
    }
    await expectFailure(box(), [...config, '--priority', '3'], env, mayNotWrite);
    await expectFailure(box(), [...config, '--public'], env, {
      ...{ ...refusal, message: `may not see or change the settings of the bucket \`${bucket}\``, hint: '--owner' },
    });
    expect((await box().succeed(ls, { env: garage().env })).lines).toEqual([...samples.paths].sort());
  });

  it('are a key that may not make a bucket', async () => {
    const key = await garage().createKey('no-buckets', { bucket, read: true, write: true, owner: true });
    const env = { AWS_ACCESS_KEY_ID: key.accessKeyId, AWS_SECRET_ACCESS_KEY: key.secretAccessKey };
    await expectFailure(box(), ['cache', 'init', garage().url('not-there-yet')], env, {
      ...{ code: 'E_CREDENTIALS', exitCode: 4, message: 'the access key may not make the bucket `not-there-yet`' },
      hint: '`garage bucket create not-there-yet`',
    });
  });

  it('may come from files, and from a profile', async () => {
    const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret } = garage().env;
    await writeFile(box().path('id'), `${id}\n`);
    await writeFile(box().path('secret'), `${secret}\n`);
    const files = { AWS_ACCESS_KEY_ID_FILE: box().path('id'), AWS_SECRET_ACCESS_KEY_FILE: box().path('secret') };
    const ls = (url: string, env: Readonly<Record<string, string>>) => box().succeed(['cache', 'ls', url], { env });
    expect((await ls(garage().url(bucket), files)).lines).toHaveLength(3);

    await mkdir(box().path('home/.aws'), { recursive: true });
    const profile = `[garage]\naws_access_key_id = ${id}\naws_secret_access_key = ${secret}\n`;
    await writeFile(box().path('home/.aws/credentials'), profile);
    await writeFile(box().path('home/.aws/config'), '[profile garage]\nregion = garage\n');
    const endpoint = garage().nodes[0]!.s3Endpoint;
    expect((await ls(garage().url(bucket, { profile: 'garage' }), {})).lines).toHaveLength(3);
    // With the region of the profile.
    expect((await ls(`s3://${bucket}?endpoint=${endpoint}&profile=garage`, {})).lines).toHaveLength(3);
    expect((await ls(`s3://${bucket}?endpoint=${endpoint}`, { AWS_PROFILE: 'garage' })).lines).toHaveLength(3);
    // The profile of a URL stands before the environment, which stands before the default profile.
    const wrong = { AWS_ACCESS_KEY_ID: 'GKwrong', AWS_SECRET_ACCESS_KEY: 'wrong' };
    expect((await ls(garage().url(bucket, { profile: 'garage' }), wrong)).lines).toHaveLength(3);
    expect((await ls(garage().url(bucket), { ...garage().env, AWS_PROFILE: 'none' })).lines).toHaveLength(3);
  });
});

describe('credentials that are not there', () => {
  const box = useSandbox();
  const url = 's3://nix?endpoint=http://127.0.0.1:9&region=garage';
  const info = (env: Readonly<Record<string, string>>, expected: Partial<ExpectedError>, to = url) => {
    const common = { code: 'E_CREDENTIALS', exitCode: 4, message: '' };
    return expectFailure(box(), ['cache', 'info', to], env, { ...common, ...expected });
  };

  it('are looked for in every place, and each is named, for every command', async () => {
    const samples = await createSampleStore(box().root);
    for (const args of Object.values(cacheCommands(url, samples, box()))) {
      const { exitCode, stdout, stderr } = await box().carport(args);
      expect([exitCode, stdout]).toEqual([4, '']);
      expect(stderr).toBe(`error[E_CREDENTIALS]: there are no credentials for \`${url}\`
  because AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set, nor AWS_ACCESS_KEY_ID_FILE and AWS_SECRET_ACCESS_KEY_FILE
  because \`${box().path('home/.aws/credentials')}\` is not there
  because \`${box().path('home/.aws/config')}\` is not there
  because AWS_WEB_IDENTITY_TOKEN_FILE is not set
  because AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not set
  because AWS_CONTAINER_CREDENTIALS_FULL_URI is not set
  because the metadata address of the machine is not asked (AWS_EC2_METADATA_DISABLED=false asks it)

hint: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or make a profile with \`aws configure\`
`);
    }
  });

  it('are never asked of the metadata address, unless that is wanted', async () => {
    const log = box().path('connections');
    const recording = await preload(
      box(),
      'recording',
      `import net from 'node:net';
       import { appendFileSync } from 'node:fs';
       const connect = net.Socket.prototype.connect;
       net.Socket.prototype.connect = function (...args) {
         const [to] = args.flat();
         appendFileSync(${JSON.stringify(log)}, \`\${to.host}:\${to.port}\\n\`);
         return connect.apply(this, args);
       };`,
    );
    await writeFile(log, '');
    await info(recording, { message: 'there are no credentials', hint: '' });
    await info(recording, { message: 'there are no credentials', hint: '' }, `${url}&profile=x`);
    expect(await readFile(log, 'utf8')).toBe('');

    const metadata = await serve((_, response) => response.writeHead(404).end());
    const asking = { AWS_EC2_METADATA_DISABLED: 'false', AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata };
    const cause = 'the metadata address of the machine gives none';
    await info({ ...recording, ...asking }, { cause, hint: '' });
    expect(await readFile(log, 'utf8')).toContain(new URL(metadata).port);
  });

  it('may be half there', async () => {
    const [id, secret] = [{ AWS_ACCESS_KEY_ID: 'GKhalf' }, { AWS_SECRET_ACCESS_KEY: 'only-a-secret' }];
    const [idFirst, secretFirst] = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'];
    await info(id, { message: `${idFirst} is set, but ${secretFirst} is not`, hint: `set ${secretFirst}` });
    await info(secret, { message: `${secretFirst} is set, but ${idFirst} is not`, hint: `set ${idFirst}` });
  });

  it('may be in a file that cannot be read, or is empty', async () => {
    await writeFile(box().path('empty'), '\n');
    const with_ = (file: string) => ({ AWS_ACCESS_KEY_ID: 'GK', AWS_SECRET_ACCESS_KEY_FILE: file });
    for (const file of ['/not/there', box().root]) {
      const message = `the file \`${file}\` of AWS_SECRET_ACCESS_KEY_FILE cannot be read`;
      await info(with_(file), { message, hint: 'check the path' });
    }
    const message = `the file \`${box().path('empty')}\` of AWS_SECRET_ACCESS_KEY_FILE is empty`;
    await info(with_(box().path('empty')), { message, hint: 'write AWS_SECRET_ACCESS_KEY into it' });
  });

  it('may be of a profile that is not there, or has none', async () => {
    await mkdir(box().path('home/.aws'));
    const file = box().path('home/.aws/credentials');
    await writeFile(file, '[half]\naws_access_key_id = GK\n[other]\naws_secret_access_key = a-secret-of-other\n');
    const config = box().path('elsewhere');
    await writeFile(config, '[profile other]\nregion = garage\n');
    const env = { AWS_CONFIG_FILE: config };
    const message = 'there are no credentials for';
    const none = { message, cause: `\`${file}\` has no profile \`nobody\``, hint: 'aws configure --profile nobody' };
    await info(env, none, `${url}&profile=nobody`);
    await info({ ...env, AWS_PROFILE: 'nobody' }, { message, cause: none.cause, hint: 'AWS_ACCESS_KEY_ID' });
    for (const [name, cause] of [
      ['half', `\`${file}\` has no whole credentials in the profile \`half\``],
      ['other', `\`${config}\` has no whole credentials in the profile \`other\``],
    ] as const) {
      await info(env, { message, cause, hint: `--profile ${name}` }, `${url}&profile=${name}`);
    }
  });
});
