import { chmod, writeFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer as createRawServer } from 'node:net';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  cacheCommands,
  clockAhead,
  type ExpectedError,
  expectFailure,
  listen,
  preload,
  serve,
} from '../support/cache-commands.js';
import { describeWithGarage, useGarage } from '../support/garage.js';
import { createSampleStore, type SampleStore } from '../support/samples.js';
import { useSandbox } from '../support/sandbox.js';
import { CERTIFICATE, EXPIRED_CERTIFICATE, TLS_KEY } from '../support/tls.js';

/** So that nobody waits for servers that will not come. */
const SHORT = { CARPORT_RETRY_SECONDS: '1' };

describeWithGarage('an address at which Garage is something else', () => {
  const garage = useGarage();
  const box = useSandbox('all');
  let samples: SampleStore;
  let bucket: string;
  beforeAll(async () => {
    samples = await createSampleStore(box().root);
    bucket = await garage().freshBucket();
  });
  type Name = keyof ReturnType<typeof cacheCommands>;
  const ALL: readonly Name[] = ['push', 'pull', 'info', 'ls', 'config', 'init', 'erase'];
  const fail = async (
    url: string,
    expected: ExpectedError,
    names = ALL,
    env: Readonly<Record<string, string>> = {},
  ) => {
    const commands = cacheCommands(url, samples, box());
    const whole = { ...garage().env, ...env };
    await Promise.all(names.map((name) => expectFailure(box(), commands[name], whole, expected)));
  };
  const endpoint = () => garage().nodes[0]!.s3Endpoint;

  it('is a bucket that is not there', async () => {
    const names = ALL.filter((name) => name !== 'init');
    const url = garage().url('no-such-bucket');
    const message = `there is no bucket \`no-such-bucket\` at \`${endpoint()}\``;
    await fail(url, { code: 'E_NOT_FOUND', exitCode: 5, message, hint: 'carport cache init' }, names);
  });

  it('is in another region, and the right one is named', async () => {
    const message = 'the bucket is in the region `garage`, not in `eu-west-1`';
    const expected = { code: 'E_USAGE', exitCode: 2, message, hint: '`region=garage`' };
    await fail(garage().url(bucket, { region: 'eu-west-1' }), expected);
    const usual = { ...expected, message: 'not in `us-east-1`' };
    await fail(`s3://${bucket}?endpoint=${endpoint()}`, usual, ['push', 'pull']);
    const named = { ...expected, message: 'not in `mars`' };
    await fail(`s3://${bucket}?endpoint=${endpoint()}`, named, ['ls'], { AWS_REGION: 'mars' });
  });

  it('is refused when the clock is a day behind', async () => {
    const message = /^this machine's clock is 25 hours behind that of `http:/;
    const expected = { code: 'E_REMOTE', exitCode: 1, message, hint: 'set the clock' };
    await fail(garage().url(bucket), expected, ALL, await preload(box(), 'clock', clockAhead(-25)));
  });

  it('has no TLS', async () => {
    const { host } = new URL(endpoint());
    const message = `\`https://${host}\` does not speak TLS`;
    const hint = '`http://`';
    await fail(garage().url(bucket, { endpoint: host }), { code: 'E_USAGE', exitCode: 2, message, hint });
    await fail(`https://${host}`, { code: 'E_USAGE', exitCode: 2, message, hint }, ['pull', 'push']);
    await box().succeed(['cache', 'init', garage().url(bucket, { endpoint: host, scheme: 'http' })], {
      env: garage().env,
    });
  });

  it('has a path', async () => {
    for (const path of ['some/path', 'none']) {
      const url = garage().url(bucket, { endpoint: `${endpoint()}/${path}` });
      await fail(url, { code: 'E_USAGE', exitCode: 2, message: 'has a path', hint: `\`endpoint=${endpoint()}\`` });
    }
  });

  it('has the bucket as its path', async () => {
    const own = await garage().freshBucket();
    const url = garage().url(own, { endpoint: `${endpoint()}/${own}` });
    const expected = { code: 'E_USAGE', exitCode: 2, message: 'has a path', hint: `\`endpoint=${endpoint()}\`` };
    for (const name of ALL) await fail(url, expected, [name]);
  });

  it('is the website and not the API', async () => {
    const website = await garage().serve(bucket);
    for (const each of [website, website.replace('localhost', '127.0.0.1')]) {
      const expected = { code: 'E_USAGE', exitCode: 2, message: `\`${each}\` does not answer as an S3 API` };
      await fail(garage().url(bucket, { endpoint: each }), { ...expected, hint: 'port 3902' });
    }
  });

  it('is the API and not the website', async () => {
    const expected = { code: 'E_USAGE', exitCode: 2, message: `\`${endpoint()}\` is an S3 API` };
    for (const url of [endpoint(), `${endpoint()}/${bucket}`]) {
      const hint = `\`s3://BUCKET?endpoint=${endpoint()}\``;
      await fail(url, { ...expected, hint }, ['push', 'pull', 'info', 'ls', 'config', 'init']);
    }
  });

  it('is a website, to which nothing can be written', async () => {
    const website = await garage().serve(bucket);
    const { push } = cacheCommands(`${website}/elsewhere`, samples, box());
    const message = `\`${website}\` does not take uploads`;
    await expectFailure(box(), push, garage().env, { code: 'E_REMOTE', exitCode: 1, message, hint: '`s3://`' });
  });
});

describe('an address at which nobody answers as a cache', () => {
  const box = useSandbox('all');
  const keys = { AWS_ACCESS_KEY_ID: 'GK0', AWS_SECRET_ACCESS_KEY: 'the-secret-of-nobody' };
  /** Read as a web server, and as a bucket. */
  const fail = async (server: string, expected: ExpectedError, env: Readonly<Record<string, string>> = {}) => {
    for (const url of [`${server}/cache`, `s3://nix?endpoint=${server}&region=garage`]) {
      await expectFailure(box(), ['cache', 'info', url], { ...keys, ...env }, expected);
    }
  };
  const startTls = async (cert: string) =>
    listen(createTlsServer({ key: TLS_KEY, cert }, (_, response) => response.writeHead(404).end()));

  it('is a host that is not there', async () => {
    const resolver = `
      import dns from 'node:dns';
      dns.lookup = (name, options, done) =>
        done(Object.assign(new Error('getaddrinfo ENOTFOUND ' + name), { code: 'ENOTFOUND' }));`;
    const env = await preload(box(), 'resolver', resolver);
    const expected = { code: 'E_NOT_FOUND', exitCode: 5, message: 'there is no host `garage.example.org`' };
    await fail('https://garage.example.org', { ...expected, hint: 'check the URL' }, env);
  });

  it('is a port that nobody listens at: said soon, given up in bounded time', async () => {
    const free = createRawServer();
    const port = await listen(free);
    await new Promise((resolve) => free.close(resolve));
    const url = `http://127.0.0.1:${port}`;
    const expected = { code: 'E_UNAVAILABLE', exitCode: 75, message: `\`${url}\` refuses connections` };
    await fail(url, { ...expected, cause: 'ECONNREFUSED', hint: 'check that the server runs' }, SHORT);
    const begin = performance.now();
    const { exitCode, stderr } = await box().carport(['cache', 'info', url]);
    expect(exitCode).toBe(75);
    expect(performance.now() - begin).toBeLessThan(60_000);
    expect(stderr).toMatch(/^warning: .*trying again for up to [0-9]+ seconds?\n/);
  });

  it('wants TLS: where the server says so, and where it hangs up', async () => {
    const says = await serve((_, response) => {
      response
        .writeHead(400)
        .end('<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head>');
    });
    await fail(says, { code: 'E_USAGE', exitCode: 2, message: `\`${says}\` wants TLS`, hint: '`https://`' });
    const port = await startTls(CERTIFICATE);
    const message = `\`http://localhost:${port}\` closes connections without an answer`;
    const expected = { code: 'E_UNAVAILABLE', exitCode: 75, message, hint: '`https://` if it wants TLS' };
    await fail(`http://localhost:${port}`, expected, SHORT);
  });

  it('has a certificate that is not trusted, of another host, or of another time', async () => {
    const expected = { code: 'E_REMOTE', exitCode: 1 };
    const trust = async (certificate: string) => {
      await writeFile(box().path('ca.pem'), certificate);
      return { NODE_EXTRA_CA_CERTS: box().path('ca.pem') };
    };
    const port = await startTls(CERTIFICATE);
    const untrusted = { ...expected, message: `the certificate of \`localhost:${port}\` is not trusted` };
    await fail(`https://localhost:${port}`, { ...untrusted, cause: 'self-signed', hint: 'NODE_EXTRA_CA_CERTS' });
    const other = { ...expected, message: `the certificate of \`127.0.0.1:${port}\` is for another host` };
    await fail(`https://127.0.0.1:${port}`, { ...other, hint: 'the name' }, await trust(CERTIFICATE));
    const old = await startTls(EXPIRED_CERTIFICATE);
    const expired = { ...expected, message: `the certificate of \`localhost:${old}\` is not valid at this time` };
    await fail(`https://localhost:${old}`, { ...expired, hint: 'clock' }, await trust(EXPIRED_CERTIFICATE));
  });

  it('is no web server', async () => {
    const port = await listen(createRawServer((socket) => void socket.end('SSH-2.0-OpenSSH_9.2\r\n')));
    const message = `\`http://localhost:${port}\` does not answer as a web server`;
    await fail(`http://localhost:${port}`, { code: 'E_USAGE', exitCode: 2, message, hint: 'check the port' });
  });

  it('is a server that fails, or asks to come back later', async () => {
    for (const [status, headers] of [
      [500, {}],
      [503, { 'retry-after': '3600' }],
    ] as const) {
      const server = await serve((_, response) => void response.writeHead(status, headers).end());
      const expected = { code: 'E_UNAVAILABLE', exitCode: 75, message: 'does not answer as it should' };
      await fail(server, { ...expected, cause: `status ${status}`, hint: 'run it again' }, SHORT);
    }
  });

  it('is a bucket whose server has another time', async () => {
    const text = '<Error><Code>RequestTimeTooSkewed</Code><Message>The difference is too large</Message></Error>';
    const server = await serve((_, response) => {
      const date = new Date(Date.now() - 3 * 24 * 3600 * 1000).toUTCString();
      response.writeHead(403, { date }).end(text);
    });
    const message = `this machine's clock is 3 days ahead of that of \`${server}\``;
    const expected = { code: 'E_REMOTE', exitCode: 1, message, hint: 'set the clock' };
    await expectFailure(box(), ['cache', 'ls', `s3://nix?endpoint=${server}`], keys, expected);
  });
});

describe('a web server that wants a password', () => {
  const box = useSandbox();
  const password: RequestListener = ({ headers: { authorization } }, response) => {
    const isRight = authorization === `Basic ${Buffer.from('joe:SEKRET right').toString('base64')}`;
    response.writeHead(isRight ? 200 : 401).end(isRight ? 'StoreDir: /nix/store\n' : '');
  };
  const netrc = async (text: string, name = 'home/.netrc') => {
    await writeFile(box().path(name), text);
    await chmod(box().path(name), 0o600);
  };
  const refusal = { code: 'E_CREDENTIALS', exitCode: 4, cause: 'status 401' };

  it('says so when there is none, and takes that of ~/.netrc or $NETRC', async () => {
    const url = await serve(password);
    const message = `\`${url}\` wants a user name and password`;
    const hint = '`machine localhost login NAME password PASSWORD` into `~/.netrc`';
    for (const args of [
      ['cache', 'info', url],
      ['cache', 'init', url],
      ['pull', '0'.repeat(32), '--from', url],
    ]) {
      await expectFailure(box(), args, {}, { ...refusal, message, hint });
    }
    await netrc('machine other login a password b\nmachine localhost login joe password "SEKRET right"\n');
    await box().succeed(['cache', 'info', url]);
    await netrc('machine localhost login joe password "SEKRET right"\n', 'other-netrc');
    await box().succeed(['cache', 'info', url], { env: { NETRC: box().path('other-netrc') } });
  });

  it('says when that is wrong, and does not repeat it', async () => {
    const url = await serve(password);
    await netrc('machine localhost login joe password SEKRET-wrong\n');
    const message = `\`${url}\` refuses the user name and password that \`~/.netrc\` has for it`;
    await expectFailure(box(), ['cache', 'info', url], {}, { ...refusal, message, hint: 'check the line' });
  });

  it('is not given that of a server that redirects to it, and its address is shown without what is secret', async () => {
    const seen: (string | undefined)[] = [];
    const target = await serve(({ headers }, response) => {
      seen.push(headers.authorization);
      response.writeHead(401).end();
    });
    const url = await serve((_, response) => response.writeHead(302, { location: `${target}/x` }).end());
    await netrc('machine localhost login joe password SEKRET\n');
    const hint = `leads there: use a URL of \`${target}\` itself`;
    const expected = { ...refusal, message: `\`${target}\` wants a user name and password`, hint };
    await expectFailure(box(), ['cache', 'info', url], {}, expected);
    expect(seen).toEqual([undefined, undefined]);

    const away = 'ftp://joe:SEKRET@example.org/x?X-Amz-Signature=SEKRET';
    const unsafe = await serve((_, response) => response.writeHead(302, { location: away }).end());
    const message = 'is redirected to `ftp://example.org/x`, and that is not followed';
    const notFollowed = { code: 'E_REMOTE', exitCode: 1, message, hint: 'use the URL' };
    await expectFailure(box(), ['cache', 'info', unsafe], {}, notFollowed);
  });
});

describe("a cache's URL", () => {
  const box = useSandbox('all');

  it.each([
    ['https://joe:SEKRET@localhost/', 'must not hold a user name or password', '~/.netrc'],
    ['s3://nix?endpoint=https://joe:SEKRET@localhost', 'must not hold a user name or password', undefined],
    ['s3://GK:SEKRET@nix', 'must not hold a user name or password', undefined],
    ['s3://nix?endpont=https://localhost', '`endpont` is not a parameter', 'did you mean `endpoint`?'],
    ['s3://nix?regoin=garage', '`regoin` is not a parameter', 'did you mean `region`?'],
    ['https://localhost?compresion=xz', '`compresion` is not a parameter', 'did you mean `compression`?'],
    ['file:///srv/cache?region=garage', '`region` is a parameter of `s3://` caches only', 'leave `region=` out'],
    ['https://localhost?profile=x', '`profile` is a parameter of `s3://` caches only', 'leave `profile=` out'],
    ['s3://nix?endpoint=ftp://localhost', 'neither `http://` nor `https://`', undefined],
    ['s3://nix?scheme=gopher', '`scheme=gopher` is none of http, https', undefined],
    ['s3://nix?region=', '`region` is empty', undefined],
    ['s3://', 'names no bucket', 's3://bucket?endpoint='],
    ['s3://nix?multipart-chunk-size=big', 'is not a number of bytes', undefined],
    ['ssh://host', '`ssh://` caches are not supported', 's3://bucket'],
  ])('may not be %s', async (url, message, hint) => {
    const samples = { root: box().path('none'), top: { path: '0'.repeat(32) } } as unknown as SampleStore;
    const { push, pull, info } = cacheCommands(url, samples, box());
    for (const args of [push, [...pull, '-vv'], [...info, '--json']]) {
      const { exitCode, stdout, stderr } = await box().carport(args);
      expect([exitCode, stdout]).toEqual([2, '']);
      expect(stderr).toContain('E_USAGE');
      expect(stderr).toContain(message);
      if (hint !== undefined) expect(stderr).toContain(hint);
      expect(stderr).not.toContain('SEKRET');
    }
  });
});
