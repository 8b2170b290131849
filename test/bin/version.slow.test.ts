import { readFile, rm, writeFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { upgradeLine } from '#bin/version/upgrade.js';
import { parseSecretKey, type SecretKey } from '#lib/signing/key.js';
import { YANK } from '#release/documents/kinds.js';
import { versionKey, YANKS } from '#release/layout.js';
import { answerWith, useHttpServers } from '../support/http-server.js';
import { readDocument } from '../support/markdown.js';
import { putDocument, putRelease } from '../support/releases.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

const OWN = (JSON.parse(readDocument('package.json')) as { version: string }).version;
const TIME = '2026-11-01T12:00:00Z';
const NEWER = 'v99.0.0';

describe('carport version', () => {
  const box = useSandbox('all');
  const serve = useHttpServers();
  let key: KeyFile;
  let secret: SecretKey;
  let bucket: string;
  beforeAll(async () => {
    key = await box().makeKey('carport-releases-1');
    secret = parseSecretKey(await readFile(key.file, 'utf8'));
  });

  const publish = async (versions: readonly string[], signer: KeyFile | null = key) => {
    bucket = box().path('bucket');
    await rm(bucket, { recursive: true, force: true });
    for (const version of versions) await putRelease(bucket, { version, keys: [secret] });
    const trust = signer ? ['--secret-key', signer.file, '--trusted-key', key.publicKey] : ['--allow-unsigned'];
    const to = ['--to', bucket, '--base-url', 'https://carport.example.org/'];
    await box().succeed(['index', 'publish', ...to, ...trust]);
  };
  const check = (...more: readonly string[]) =>
    box().carport(['version', '--check', '--releases', bucket, '--release-key', key.publicKey, ...more]);

  it('is what the program says of itself', async () => {
    expect((await box().succeed(['version'])).stdout).toBe(`carport ${OWN}\n`);
    const { stdout } = await box().succeed(['version', '--json']);
    expect(stdout).toBe((await box().succeed(['--version', '--json'])).stdout);
  });

  it('tells whether there is a newer one, which may be none', async () => {
    await publish([`v${OWN}`, 'v0.0.1', 'v99.0.0-rc1']);
    expect(await check()).toMatchObject({ exitCode: 0, stdout: `carport ${OWN} is the newest\n`, stderr: '' });
    await publish([`v${OWN}`, NEWER]);
    expect((await check()).lines[0]).toBe(`carport ${NEWER} of 2026-11-01 is newer than this, ${OWN}`);
    expect(JSON.parse((await check('--json')).stdout)).toMatchObject({
      ...{ version: 1, carport: OWN },
      check: {
        ...{ state: 'newer', newest: { version: NEWER, time: TIME }, newer: { version: NEWER } },
        ...{ yanked: null, upgrade: null, signedBy: 'carport-releases-1' },
      },
    });
    await publish(['v0.0.1']);
    expect((await check()).stdout).toBe(`carport ${OWN} is newer than the newest release, v0.0.1\n`);
    await publish(['v99.0.0-rc1']);
    expect((await check()).stdout).toBe(`carport ${OWN}; there is no stable release\n`);
  });

  it('tells that the version was yanked, and passes over one that is', async () => {
    await publish([`v${OWN}`, NEWER]);
    for (const version of [`v${OWN}`, NEWER]) {
      const yank = { version, reason: 'loses data', time: TIME };
      await putDocument(bucket, YANK, versionKey(YANKS, version), yank, [secret]);
    }
    await box().succeed(['index', 'publish', '--to', bucket, '--secret-key', key.file]);
    expect((await check()).stdout).toBe(
      `carport ${OWN} should not be used any more: loses data\ncarport ${OWN}; there is no stable release\n`,
    );
  });

  it('sends nothing but two questions', async () => {
    await publish([NEWER]);
    const asked: string[] = [];
    const { url } = await serve((request, response) => {
      asked.push(
        `${request.method} ${request.url} ${request.headers.cookie ?? ''}${request.headers.authorization ?? ''}`,
      );
      readFile(`${bucket}${request.url}`).then(
        (bytes) => answerWith(response, bytes),
        () => answerWith(response, '', { status: 404 }),
      );
    });
    expect((await check('--releases', url.href)).exitCode).toBe(0);
    expect([...new Set(asked)]).toEqual(['GET /releases/index.json ', 'GET /releases/index.json.minisig ']);
  });

  describe('that believes nobody but the key of releases', () => {
    it.each([
      ['nobody has signed it', async () => publish([NEWER], null), 5, 'has no `releases/index.json.minisig`'],
      [
        'another has',
        async () => publish([NEWER], await box().makeKey('other-1')),
        6,
        'not signed by a key that is trusted',
      ],
      [
        'it was changed',
        async () => {
          await publish([NEWER]);
          const file = `${bucket}/releases/index.json`;
          await rm(file, { force: true });
          await writeFile(file, '{"version":1,"releases":[]}');
        },
        ...([6, 'is not what its signature is of'] as const),
      ],
      [
        'it is another file that the key has signed',
        async () => {
          await publish([NEWER]);
          const sums = `${bucket}/releases/${NEWER}/SHA256SUMS`;
          for (const end of ['', '.minisig']) {
            await rm(`${bucket}/releases/index.json${end}`);
            await writeFile(`${bucket}/releases/index.json${end}`, await readFile(`${sums}${end}`));
          }
        },
        ...([6, 'is of another file'] as const),
      ],
      ['there is none', async () => rm(`${bucket}/releases`, { recursive: true }), 5, 'has no `releases/index.json`'],
    ])('says so when %s', async (_, prepare, exitCode, said) => {
      await publish([NEWER]);
      await prepare();
      const ran = await check();
      expect({ exitCode: ran.exitCode, stdout: ran.stdout }).toEqual({ exitCode, stdout: '' });
      expect(ran.stderr).toContain(said);
    });
  });

  it('says what is missing when nothing is set, and when no server answers', async () => {
    const nothing = await box().carport(['version', '--check']);
    expect(nothing).toMatchObject({ exitCode: 2, stdout: '' });
    expect(nothing.stderr).toContain('`--releases URL`');
    const noKey = await box().carport(['version', '--check', '--releases', 'https://carport.example.org/']);
    expect(noKey).toMatchObject({ exitCode: 2, stdout: '' });
    expect(noKey.stderr).toContain('`--release-key NAME:BASE64`');
    const away = await check('--releases', 'http://127.0.0.1:9/', '--retry-seconds', '0', '--json');
    expect(away.exitCode).toBe(75);
    expect(JSON.parse(away.stderr)).toMatchObject({ code: 'E_UNAVAILABLE', exitCode: 75 });
  });
});

describe('the line that puts a newer one in its place', () => {
  const SHA256 = 'a'.repeat(64);
  const file = (name: string, url: string | null = `https://carport.example.org/${name}`) => ({
    name,
    sha256: SHA256,
    url,
  });
  const release = (files: readonly ReturnType<typeof file>[], target = 'x86_64-unknown-linux-gnu') => ({
    ...{ version: NEWER, channel: 'stable', state: 'available', yanked: null, time: TIME },
    targets: [{ target, files: [...files] }],
  });
  const installed = { way: 'file', path: "/home/a b/it's", processor: 'x64' } as const;

  it('replaces one file by one whose hash was signed', () => {
    const [fresh, old] = [`'/home/a b/it'\\''s.new'`, `'/home/a b/it'\\''s'`];
    expect(upgradeLine(release([file('carport')]), installed)).toBe(
      `curl -fLo ${fresh} https://carport.example.org/carport && echo '${SHA256}  '${fresh} | sha256sum --check && chmod +x ${fresh} && mv ${fresh} ${old}`,
    );
  });

  it('is one of npm or Nix where these have installed it', () => {
    const line = upgradeLine(release([file('carport.tgz')], 'noarch'), { ...installed, way: 'npm' });
    expect(line).toBe('npm install --global https://carport.example.org/carport.tgz');
    expect(upgradeLine(release([]), { ...installed, way: 'nix' })).toBe('nix profile upgrade carport');
  });

  it('is not there where no file is for this machine, or its address is none', () => {
    expect(upgradeLine(release([file('carport')]), { ...installed, processor: 'riscv64' })).toBeUndefined();
    for (const url of [null, 'javascript:alert(1)', 'carport', 'file:///etc/passwd']) {
      expect(upgradeLine(release([file('carport', url)]), installed)).toBeUndefined();
    }
    const sly = upgradeLine(release([file('carport', "https://x.example.org/$(id)';id;'")]), installed);
    expect(sly).toContain(`'https://x.example.org/$(id)'\\'';id;'\\'''`);
  });
});
