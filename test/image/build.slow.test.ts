import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, link, lutimes, mkdir, readFile, symlink, truncate, writeFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { extract } from 'tar-stream';
import { describe, expect, it } from 'vitest';
import { useSandbox } from '../support/sandbox.js';

const box = useSandbox();

interface Entry {
  readonly type: string | null;
  readonly mode: string;
  readonly owner: string;
  readonly mtime: number;
  readonly linkname?: string | null;
  readonly size: number;
}

async function blob(layout: string, digest: string): Promise<Buffer> {
  const bytes = await readFile(box().path('work', layout, 'blobs/sha256', digest.slice(7)));
  expect(`sha256:${createHash('sha256').update(bytes).digest('hex')}`).toBe(digest);
  return bytes;
}

async function entriesOf(tar: Uint8Array): Promise<Record<string, Entry>> {
  const entries: Record<string, Entry> = {};
  const archive = extract();
  archive.end(tar);
  for await (const entry of archive) {
    const { name, type, mode, uid, gid, mtime, linkname, size } = entry.header;
    expect(entries[name], `${name} is there twice`).toBeUndefined();
    entries[name] = {
      type,
      mode: mode.toString(8),
      owner: `${uid}:${gid}`,
      mtime: mtime.getTime(),
      size,
      ...(linkname && { linkname }),
    };
    for await (const _ of entry);
  }
  return entries;
}

async function build(what: readonly string[], ...more: readonly string[]) {
  const args = ['image', 'build', ...what, '--name', 'app:v1', '--platform', 'linux/amd64', ...more, '--json'];
  return JSON.parse((await box().succeed(args)).stdout).image;
}

/** A tree with all that an image may have, written in some order. */
async function makeTree(name: string, { umask = 0o022, time = 1, reverse = false } = {}): Promise<void> {
  const path = (...parts: readonly string[]) => box().path('work', name, ...parts);
  const before = process.umask(umask);
  try {
    await mkdir(path('bin'), { recursive: true });
    const steps = [
      () => writeFile(path('bin', 'program'), '#!/bin/sh\n').then(() => chmod(path('bin', 'program'), 0o744)),
      () => symlink('program', path('bin', 'link')),
      () => symlink(`/${'l'.repeat(180)}`, path('far')),
      () => writeFile(path('n'.repeat(180)), 'long'),
      () => writeFile(path('ü'), 'not ASCII'),
      () => writeFile(path('sparse'), '').then(() => truncate(path('sparse'), 3_000_000)),
      () => writeFile(path('text'), 'text '.repeat(100_000)),
    ];
    for (const step of reverse ? steps.reverse() : steps) await step();
    for (const each of ['text', 'bin/link', 'bin']) await lutimes(path(each), time, time);
  } finally {
    process.umask(before);
  }
}

describe('image build', () => {
  it('has what is in a directory, without what is of this machine', async () => {
    await makeTree('tree');
    const image = await build(
      ['tree'],
      '--out',
      'out',
      '--entrypoint',
      '/bin/program',
      '--cmd',
      '["a", "b"]',
      '--env',
      'A=1',
      '--user',
      '1000:1',
      '--workdir',
      '/bin',
      '--label',
      'b=2',
      '--label',
      'a=1',
    );
    const manifest = JSON.parse((await blob('out', image.digest)).toString());
    const config = JSON.parse((await blob('out', manifest.config.digest)).toString());
    expect(config.config).toEqual({
      ...{ User: '1000:1', Env: ['A=1'], Entrypoint: ['/bin/program'], Cmd: ['a', 'b'], WorkingDir: '/bin' },
      Labels: { a: '1', b: '2' },
    });
    expect(config).toMatchObject({ os: 'linux', architecture: 'amd64', created: '1970-01-01T00:00:00Z' });
    const packed = await blob('out', manifest.layers[0].digest);
    expect(packed.length).toBe(manifest.layers[0].size);
    const tar = gunzipSync(packed);
    expect(config.rootfs.diff_ids).toEqual([`sha256:${createHash('sha256').update(tar).digest('hex')}`]);
    const common = { owner: '0:0', mtime: 1000 };
    const file = { ...common, type: 'file', mode: '644' };
    const long = { ...common, type: 'symlink', mode: '777', size: 0 };
    const entries = await entriesOf(tar);
    expect(entries).toEqual({
      'bin/': { ...common, type: 'directory', mode: '755', size: 0 },
      'bin/link': { ...long, linkname: 'program' },
      'bin/program': { ...file, mode: '755', size: 10 },
      far: { ...long, linkname: `/${'l'.repeat(180)}` },
      ['n'.repeat(180)]: { ...file, size: 4 },
      sparse: { ...file, size: 3_000_000 },
      text: { ...file, size: 500_000 },
      ü: { ...file, size: 9 },
    });
    expect(Object.keys(entries)).toEqual([
      'bin/',
      'bin/link',
      'bin/program',
      'far',
      'n'.repeat(180),
      'sparse',
      'text',
      'ü',
    ]);
  });

  it('gives the same digests whatever the clock, the umask, the order, and the links between files', async () => {
    await makeTree('one');
    await makeTree('other', { umask: 0o077, time: 1_700_000_000, reverse: true });
    await link(box().path('work/other/text'), box().path('work/linked'));
    // The bytes of compressors, too: they are of packages that the lock file pins.
    for (const [compression, digest] of [
      ['gzip', 'sha256:c08e331a06e179b941ef7baf2a8aba699d584340ba048d822bb1a666ddccab99'],
      ['zstd', 'sha256:a3b2e5a7bd79cd76089aff0c8513c4540a75a1b3bfc250906c5d9bd5c895f59d'],
      ['none', 'sha256:831d22deef15262c0e82bcf255c4c38ee46d161f684e548f5a2ab7883e7dd970'],
    ] as const) {
      const [one, other] = [
        await build(['one'], '--out', `${compression}-one`, '--compression', compression),
        await build(['other'], '--out', `${compression}-other`, '--compression', compression),
      ];
      expect(other).toEqual(one);
      expect(`${compression} ${one.layers[0].digest}`).toBe(`${compression} ${digest}`);
    }
  });

  it('makes one file, the same each time, where its name ends in .tar', async () => {
    await writeFile(box().path('work/file'), 'x');
    await build(['file:/etc/conf'], '--out', 'a.tar');
    await build(['file:/etc/conf'], '--out', 'b.tar');
    const [a, b] = await Promise.all(['a.tar', 'b.tar'].map((name) => readFile(box().path('work', name))));
    expect(a!.equals(b!)).toBe(true);
    const names = Object.keys(await entriesOf(a!));
    expect(names.slice(0, 2)).toEqual(['oci-layout', 'index.json']);
    expect(names).toHaveLength(5);
  });

  it('puts files where it is told to, each argument above the ones before', async () => {
    await writeFile(box().path('work/file'), 'x');
    await mkdir(box().path('work/dir'));
    await writeFile(box().path('work/dir/inner'), 'y');
    const { layers, digest } = await build(['file', 'file:/opt/a/', 'dir:/srv'], '--out', 'out');
    const { layers: descriptors } = JSON.parse((await blob('out', digest)).toString());
    const names = await Promise.all(
      descriptors.map(async (each: { digest: string }) =>
        Object.keys(await entriesOf(gunzipSync(await blob('out', each.digest)))),
      ),
    );
    expect(names).toEqual([['file'], ['opt/', 'opt/a/', 'opt/a/file'], ['srv/', 'srv/inner']]);
    expect(layers).toHaveLength(3);
  });

  it('keeps images of other platforms and tags that are in the directory', async () => {
    await writeFile(box().path('work/file'), 'x');
    for (const [platform, name] of [
      ['linux/arm/v6', 'a:1'],
      ['linux/arm64/v8', 'a:1'],
      ['linux/i386', 'a:2'],
      ['linux/arm/v6', 'a:1'],
    ]) {
      await box().succeed(['image', 'build', 'file', '--name', name!, '--platform', platform!, '--out', 'out']);
    }
    const { manifests } = JSON.parse(await readFile(box().path('work/out/index.json'), 'utf8'));
    const listed = manifests.map(({ platform, annotations }: never) => [platform, Object.values(annotations)[0]]);
    expect(listed).toEqual([
      [{ os: 'linux', architecture: 'arm64' }, '1'],
      [{ os: 'linux', architecture: '386' }, '2'],
      [{ os: 'linux', architecture: 'arm', variant: 'v6' }, '1'],
    ]);
  });

  it('has a closure at /nix/store, and finds the program of a root', async () => {
    await mkdir(box().path('work/pkg/bin'), { recursive: true });
    await writeFile(box().path('work/data'), 'data');
    const store = ['--store', box().path('store')];
    const data = (await box().succeed(['store', 'add', 'data', ...store])).lines[0]!;
    await writeFile(box().path('work/pkg/bin/app'), `#!/bin/sh\ncat ${data}\n`, { mode: 0o755 });
    const app = (await box().succeed(['store', 'add', 'pkg', '--name', 'app', ...store])).lines[0]!;
    const image = await build([app], ...store, '--out', 'out', '--entrypoint', 'app');
    const manifest = JSON.parse((await blob('out', image.digest)).toString());
    const config = JSON.parse((await blob('out', manifest.config.digest)).toString());
    expect(config.config.Entrypoint).toEqual([`${app}/bin/app`]);
    expect(image.layers.map(({ comment }: { comment: string }) => comment)).toEqual(['data', 'app']);
    const entries = await entriesOf(gunzipSync(await blob('out', manifest.layers[1].digest)));
    expect(Object.entries(entries).map(([name, { mode }]) => `${mode} ${name}`)).toEqual([
      ...[
        '755 nix/',
        '755 nix/store/',
        `555 ${app.slice(1)}/`,
        `555 ${app.slice(1)}/bin/`,
        `555 ${app.slice(1)}/bin/app`,
      ],
    ]);
  });
});

describe('image build refuses', () => {
  const refused = async (what: readonly string[], ...more: readonly string[]) => {
    const args = ['image', 'build', ...what, '--name', 'app:v1', '--out', 'out', ...more];
    return (await box().carport(args)).stderr;
  };

  it('what cannot be in an image', async () => {
    await mkdir(box().path('work/dir'));
    await writeFile(box().path('work/dir/.wh.gone'), '');
    expect(await refused(['dir'])).toContain('stands for one that is removed');
    await mkdir(box().path('work/raw'));
    await writeFile(Buffer.from(`${box().path('work/raw')}/\xff`, 'latin1'), '');
    expect(await refused(['raw'])).toContain('is not UTF-8');
    await mkdir(box().path('work/pipe'));
    execFileSync('mkfifo', [box().path('work/pipe/fifo')]);
    expect(await refused(['pipe'])).toContain('neither file, directory nor symlink');
  });

  it.each([
    [['file'], ['--platform', 'linux/arm'], 'does not say which ARM'],
    [['file'], ['--platform', 'Linux'], 'is no platform'],
    [['file:/a/../b'], [], 'no place in an image'],
    [['file'], ['--cmd', '["a'], 'is no JSON list'],
    [['file'], ['--env', 'A'], 'is no pair'],
    [['file'], ['--format', 'docker', '--compression', 'zstd'], 'no layers with zstd'],
    [['file'], ['--name', 'App:v1'], 'capital letters'],
    [['file'], ['--max-layers', '126'], 'from 1 to 125'],
    [['file', 'file:/b'], ['--max-layers', '1'], 'each file and directory is a layer: 2 in all, and 1 may be added'],
    [['missing'], [], 'missing'],
  ])('%j %j', async (what, more, words) => {
    await writeFile(box().path('work/file'), 'x');
    expect(await refused(what, ...more)).toContain(words);
  });

  it('a directory that is something else', async () => {
    await writeFile(box().path('work/file'), 'x');
    await mkdir(box().path('work/out'));
    await writeFile(box().path('work/out/mine'), '');
    expect(await refused(['file'])).toContain('not empty');
  });
});

describe('image build --base', () => {
  it('lies above another image, in a directory or in a file, and takes what is not given', async () => {
    await writeFile(box().path('work/one'), '1');
    await writeFile(box().path('work/two'), '2');
    for (const out of ['base', 'base.tar']) {
      await build(
        ['one'],
        '--out',
        out,
        '--entrypoint',
        '/one',
        '--cmd',
        'x',
        '--env',
        'A=1',
        '--env',
        'B=1',
        '--label',
        'l=1',
      );
    }
    const above = ['--out', 'out', '--env', 'B=2'];
    const image = await build(['two:/dir/two'], ...above, '--base', 'oci:base:v1');
    const manifest = JSON.parse((await blob('out', image.digest)).toString());
    const config = JSON.parse((await blob('out', manifest.config.digest)).toString());
    expect(config.config).toEqual({ Env: ['A=1', 'B=2'], Entrypoint: ['/one'], Cmd: ['x'], Labels: { l: '1' } });
    expect(config.history).toHaveLength(2);
    expect(config.rootfs.diff_ids).toHaveLength(2);
    const tars = await Promise.all(
      manifest.layers.map(async ({ digest }: { digest: string }) => entriesOf(gunzipSync(await blob('out', digest)))),
    );
    expect(tars.map((each) => Object.keys(each))).toEqual([['one'], ['dir/two']]);
    expect(await build(['two:/dir/two'], ...above, '--base', 'base.tar')).toEqual(image);
    // Of one format are all layers, whatever the base has.
    const dockers = await build(['two:/dir/two'], '--out', 'dockers', '--base', 'base.tar', '--format', 'docker');
    const { layers: packed } = JSON.parse((await blob('dockers', dockers.digest)).toString());
    const types = packed.map(({ mediaType }: { mediaType: string }) => mediaType);
    expect(types).toEqual(Array(2).fill('application/vnd.docker.image.rootfs.diff.tar.gzip'));
    const other = await box().carport([
      'image',
      'build',
      'one',
      '--name',
      'x',
      '--out',
      'y',
      '--base',
      'base',
      '--platform',
      'linux/arm64',
    ]);
    expect(other.stderr).toContain('is for `linux/amd64`, and not for `linux/arm64`');
  });

  it('refuses a base whose config does not name its layers', async () => {
    await writeFile(box().path('work/one'), '1');
    const { digest } = await build(['one'], '--out', 'lying');
    const manifest = JSON.parse((await blob('lying', digest)).toString());
    const config = JSON.parse((await blob('lying', manifest.config.digest)).toString());
    config.rootfs.diff_ids = [];
    manifest.config = await put(config, manifest.config);
    const index = JSON.parse(await readFile(box().path('work/lying/index.json'), 'utf8'));
    index.manifests = [await put(manifest, index.manifests[0])];
    await writeFile(box().path('work/lying/index.json'), JSON.stringify(index));
    const line = ['image', 'build', 'one', '--name', 'x', '--out', 'y', '--base', 'lying'];
    const { exitCode, stderr } = await box().carport(line);
    expect([exitCode, stderr]).toEqual([6, expect.stringContaining('has 1 layers, and its config names 0')]);

    async function put(document: object, like: object): Promise<object> {
      const bytes = Buffer.from(JSON.stringify(document));
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      await writeFile(box().path(`work/lying/blobs/sha256/${sha256}`), bytes);
      return { ...like, digest: `sha256:${sha256}`, size: bytes.length };
    }
  });
});
