import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { describeWithPeer } from '../support/peers.js';
import { type HttpProxy, startProxy } from '../support/proxy.js';
import { CRANE, missingForImages, type Registry, startRegistry } from '../support/registry.js';
import { useSandbox } from '../support/sandbox.js';

const box = useSandbox('each');

const COMMIT = 'a'.repeat(40);

const PLAN = (global: string, prc: string) => `
[registries]
global = "${global}"
prc = "${prc}"

[[image]]
name = "spark"
base = "cloudtik"
contents = ["dist/spark:/opt/"]
env = { VERSION = "{version}" }

[[image.variant]]
name = "gpu"

[[image]]
name = "cloudtik"
base = "base"
repository = "team/cloudtik"
contents = ["dist/{arch}/app:/opt/"]
entrypoint = ["/opt/app"]

[[image.variant]]
name = "gpu"
base = "cuda"

[[image]]
name = "base"
push = false
platforms = ["linux/arm/v6", "linux/amd64"]
contents = ["dist/rootfs"]
region.prc = { env = { MIRROR = "prc" } }

[[image]]
name = "cuda"
push = false
platforms = ["linux/amd64"]
contents = ["dist/rootfs"]
env = { CUDA = "11.7" }
`;

interface Told {
  readonly name: string;
  readonly registry: string;
  readonly digest: string;
  readonly platforms: readonly string[];
  readonly state: string;
  readonly blobs: { readonly sent: number; readonly mounted: number };
  readonly tags: readonly { readonly tag: string; readonly state: string; readonly newer?: string }[];
}

describeWithPeer(missingForImages(), 'the images of a plan', () => {
  let registries: readonly Registry[];
  let proxy: HttpProxy;
  beforeAll(async () => {
    registries = await Promise.all([startRegistry(), startRegistry()]);
    proxy = await startProxy(registries[0]!.url);
  }, 60_000);
  afterAll(async () => {
    await proxy?.close();
    for (const registry of registries ?? []) await registry.close();
  });
  let team: string;
  let turn = 0;
  beforeEach(async () => {
    proxy.heal();
    proxy.reset();
    team = `t${turn++}`;
    for (const arch of ['amd64', 'arm']) {
      await mkdir(box().path('work/dist', arch), { recursive: true });
      await writeFile(box().path('work/dist', arch, 'app'), `app for ${arch}`);
    }
    await mkdir(box().path('work/dist/rootfs/etc'), { recursive: true });
    await writeFile(box().path('work/dist/rootfs/etc/os-release'), 'test');
    await writeFile(box().path('work/dist/spark'), 'spark');
    await writeFile(
      box().path('work/carport.toml'),
      PLAN(`127.0.0.1:${proxy.port}/${team}`, `${registries[1]!.host}/${team}`),
    );
  });
  const publish = async (...args: readonly string[]): Promise<readonly Told[]> =>
    JSON.parse((await box().succeed(['image', 'publish', ...args, '--json'])).stdout).images;
  const crane = (...args: readonly string[]) =>
    execFileSync(CRANE, [...args, '--insecure'], { stdio: 'pipe' })
      .toString()
      .trim();

  it('are built in order, for all platforms, with variants, to all registries, and sent once', async () => {
    const planned = JSON.parse(
      (await box().succeed(['image', 'publish', '--dry-run', '--tag', 'v1.0.0', '--json'])).stdout,
    );
    expect(planned).toMatchObject({ result: 'planned', build: { version: 'v1.0.0', channel: 'stable' } });
    expect(planned.units.map(({ name, base }: { name: string; base: string }) => `${name} on ${base}`)).toEqual([
      'base on null',
      'cloudtik on base',
      'spark on cloudtik',
      'base@prc on null',
      'cloudtik@prc on base@prc',
      'spark@prc on cloudtik@prc',
      'cuda on null',
      'cloudtik-gpu on cuda',
      'spark-gpu on cloudtik-gpu',
    ]);
    const first = await publish('--tag', 'v1.0.0', '--commit', COMMIT);
    expect(first).toHaveLength(8);
    const of = (images: readonly Told[], name: string) => images.find((image) => image.name === name)!;
    expect(of(first, 'spark')).toMatchObject({ platforms: ['linux/amd64', 'linux/arm/v6'], state: 'pushed' });
    expect(of(first, 'spark').blobs.mounted).toBeGreaterThan(0);
    expect(of(first, 'spark').digest).not.toBe(of(first, 'spark@prc').digest);
    const both = first.filter(({ name }) => name === 'spark-gpu');
    expect(both.map(({ registry, digest }) => [registry, digest])).toEqual([
      ['global', both[0]!.digest],
      ['prc', both[0]!.digest],
    ]);
    for (const { host } of registries) {
      expect(crane('ls', `${host}/${team}/spark`).split('\n').sort()).toEqual(
        [COMMIT, `${COMMIT}-gpu`, 'latest', 'latest-gpu', 'v1.0.0', 'v1.0.0-gpu'].sort(),
      );
      expect(crane('ls', `${host}/${team}/team/cloudtik`)).toContain('latest-gpu');
      crane('validate', '--remote', `${host}/${team}/spark:latest`);
      crane('validate', '--remote', `${host}/${team}/spark:latest-gpu`);
    }
    const config = JSON.parse(crane('config', `${registries[0]!.host}/${team}/spark:latest-gpu`));
    expect(config.config).toMatchObject({ Entrypoint: ['/opt/app'], Env: ['CUDA=11.7', 'VERSION=v1.0.0'] });
    proxy.reset();
    const again = await publish('--tag', 'v1.0.0', '--commit', COMMIT);
    expect(again.map(({ state }) => state)).toEqual(again.map(() => 'current'));
    expect(proxy.requests().filter(({ method }) => method !== 'GET' && method !== 'HEAD')).toEqual([]);
  });

  it('move `latest` for the newest stable version only, and `dev` for commits', async () => {
    const tagsOf = async (...args: readonly string[]) =>
      (await publish('base', '--region', 'global', ...args))[0]!.tags.map(({ tag, state }) => `${tag} ${state}`);
    expect(await tagsOf('--tag', 'v2.0.0')).toEqual(['v2.0.0 set', 'latest set']);
    await writeFile(box().path('work/dist/rootfs/etc/os-release'), 'older, and mended');
    expect(await tagsOf('--tag', 'v1.9.5')).toEqual(['v1.9.5 set', 'latest newer']);
    expect(await tagsOf('--tag', 'v2.1.0-rc1')).toEqual(['v2.1.0-rc1 set']);
    expect(await tagsOf('--commit', COMMIT)).toEqual([`${COMMIT} set`, 'dev set']);
    expect(await tagsOf('--tag', 'v2.1.0')).toEqual(['v2.1.0 set', 'latest set']);
    const name = `${registries[0]!.host}/${team}/base`;
    expect(crane('digest', `${name}:latest`)).toBe(crane('digest', `${name}:v2.1.0`));
    await writeFile(box().path('work/dist/rootfs/etc/os-release'), 'other');
    const refused = await box().carport(['image', 'publish', 'base', '--region', 'global', '--tag', 'v2.1.0']);
    expect(refused).toMatchObject({ exitCode: 2 });
    expect(refused.stderr).toContain('`--replace`');
    expect(await tagsOf('--tag', 'v2.1.0', '--replace')).toEqual(['v2.1.0 set', 'latest set']);
    // Another job publishes while this one sends its blobs.
    const meanwhile = (tag: string) => {
      proxy.heal();
      proxy.fail({
        match({ method }) {
          if (method === 'POST') crane('tag', `${name}:v1.9.5`, tag);
          return false;
        },
        fault: { status: 500, body: '' },
      });
    };
    await writeFile(box().path('work/dist/rootfs/etc/os-release'), 'third');
    meanwhile('v3.0.0');
    const late = await box().carport(['image', 'publish', 'base', '--region', 'global', '--tag', 'v3.0.0']);
    expect(late.exitCode).toBe(2);
    expect(late.stderr).toContain('has another image `v3.0.0`');
    expect(crane('digest', `${name}:v3.0.0`)).toBe(crane('digest', `${name}:v1.9.5`));
    await writeFile(box().path('work/dist/rootfs/etc/os-release'), 'fourth');
    meanwhile('v5.0.0');
    expect(await tagsOf('--tag', 'v4.0.0')).toEqual(['v4.0.0 set', 'latest newer']);
  });

  it('are complete after a failure, which names the image and what is there, and `latest` has not moved', async () => {
    const isTag = ({ method, path }: { readonly method: string; readonly path: string }) =>
      method === 'PUT' && path.endsWith('/spark/manifests/v1.0.0');
    proxy.fail({ match: isTag, times: 99, fault: { status: 403, body: '' } });
    const failed = await box().carport(['image', 'publish', '--region', 'global', '--tag', 'v1.0.0']);
    expect(failed.exitCode).not.toBe(0);
    expect(failed.stderr).toMatch(/`spark` \(.*\/spark\) is not published/);
    expect(failed.stderr).toMatch(/pushed already: `cloudtik`/);
    const name = `${registries[0]!.host}/${team}`;
    expect(crane('ls', `${name}/team/cloudtik`)).toBe('v1.0.0');
    proxy.heal();
    const states = (await publish('--region', 'global', '--tag', 'v1.0.0')).map(
      ({ name, state }) => `${name} ${state}`,
    );
    expect(states).toEqual(['cloudtik pushed', 'spark pushed', 'cloudtik-gpu pushed', 'spark-gpu pushed']);
    expect(crane('ls', `${name}/team/cloudtik`).split('\n').sort()).toEqual([
      'latest',
      'latest-gpu',
      'v1.0.0',
      'v1.0.0-gpu',
    ]);
  });

  it('are signed before a tag moves to them', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    await writeFile(box().path('work/image.key'), privateKey.export({ format: 'pem', type: 'pkcs8' }));
    await writeFile(box().path('work/image.pub'), publicKey.export({ format: 'pem', type: 'spki' }));
    const args = ['cloudtik', '--region', 'global', '--tag', 'v1.0.0', '--commit', COMMIT, '--sign-key', 'image.key'];
    await publish(...args);
    await publish(...args);
    const paths = proxy.requests().filter(({ method }) => method === 'PUT');
    const of = (end: string) => paths.findIndex(({ path }) => path.endsWith(end));
    expect(of('.sig')).toBeGreaterThan(0);
    for (const tag of ['v1.0.0', COMMIT, 'latest']) expect(of(`/manifests/${tag}`), tag).toBeGreaterThan(of('.sig'));
    const image = `127.0.0.1:${proxy.port}/${team}/team/cloudtik:latest-gpu`;
    await box().succeed(['image', 'verify', image, '--key', 'image.pub', '--commit', COMMIT]);
  });

  it('are an error where two would have the same tag, before anything is built', async () => {
    const image = (name: string) => `[[image]]\nname = "${name}"\nrepository = "h.test/same"\ncontents = ["none"]\n`;
    await writeFile(box().path('work/carport.toml'), image('one') + image('two'));
    const { exitCode, stderr } = await box().carport(['image', 'publish', '--tag', 'v1.0.0', '--dry-run']);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('`one` and `two` are both to be `h.test/same:v1.0.0`');
  });

  it('are an error where one cannot be built, and nothing is sent', async () => {
    await writeFile(box().path('work/dist/spark'), '');
    execFileSync('rm', [box().path('work/dist/arm/app')]);
    proxy.reset();
    const { exitCode, stderr } = await box().carport(['image', 'publish', '--tag', 'v1.0.0']);
    expect(exitCode).toBe(5);
    expect(stderr).toContain('`cloudtik` is not built, and nothing was pushed');
    expect(proxy.requests().filter(({ method }) => method !== 'GET' && method !== 'HEAD')).toEqual([]);
  });
});
