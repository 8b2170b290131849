import { execFileSync } from 'node:child_process';
import {
  chmod,
  copyFile,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseNarInfo } from '#lib/nix/narinfo.js';
import { useSampleCache } from '../support/sample-cache.js';
import { ageNars, copyCache, createLargeStore, type SampleStore, snapshot } from '../support/samples.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

interface Found {
  readonly type: string;
  readonly kind: string;
  readonly key: string;
  readonly path?: string;
}

/** A cache, and what is done to it. */
interface Place {
  readonly cache: string;
  readonly samples: SampleStore;
  readonly narInfo: (path: string) => string;
  /** The file of a path's NAR. */
  readonly nar: (path: string) => Promise<string>;
  readonly edit: (path: string, change: (text: string) => string) => Promise<void>;
  readonly write: (key: string, content: string | Uint8Array) => Promise<void>;
}

/** One way to damage a cache. */
interface Damage {
  readonly name: string;
  readonly kinds: readonly string[];
  readonly do: (place: Place) => Promise<void>;
  /** Whether only reading NARs finds it. */
  readonly contents?: true;
  /** Whether it stays, as something that is said, or because nothing can be done about it. */
  readonly stays?: true;
}

/** What may be found, too, since something else is not as it should be. */
const CONSEQUENCES = [
  ...['nar-orphaned', 'listing-orphaned', 'listing-damaged', 'reference-missing', 'pin-dangling'],
  ...['content-address', 'signature-wrong'],
];

const OLD = new Date('2026-01-01T00:00:00Z');
const other = (text: string) => text.replace(/[0-9a-df-np-sv-z](?=$)/, (last) => (last === '0' ? '1' : '0'));

const DAMAGES: readonly Damage[] = [
  {
    name: 'a narinfo that is missing',
    kinds: ['reference-missing'],
    do: ({ narInfo, samples }) => rm(narInfo(samples.base.path)),
  },
  {
    name: 'a NAR that is missing',
    kinds: ['nar-missing'],
    do: async ({ nar, samples }) => rm(await nar(samples.middle.path)),
  },
  {
    name: 'a NAR that is short',
    kinds: ['nar-size'],
    do: async ({ nar, samples }) => truncate(await nar(samples.base.path), 20),
  },
  {
    name: 'a NAR that is long',
    kinds: ['nar-size'],
    do: async ({ nar, samples }) => {
      const file = await nar(samples.base.path);
      await writeFile(file, Buffer.concat([await readFile(file), Buffer.alloc(7)]));
    },
  },
  {
    name: 'a NAR that is empty',
    kinds: ['nar-size'],
    do: async ({ nar, samples }) => truncate(await nar(samples.top.path), 0),
  },
  {
    name: 'a NAR with wrong bytes',
    contents: true,
    kinds: ['nar-damaged'],
    do: async ({ nar, samples }) => {
      const file = await nar(samples.base.path);
      const bytes = await readFile(file);
      bytes[bytes.length >> 1]! ^= 0xff;
      await writeFile(file, bytes);
    },
  },
  {
    name: 'a NAR that is compressed otherwise than is told',
    kinds: ['nar-damaged'],
    do: ({ edit, samples }) =>
      edit(samples.middle.path, (text) => text.replace('Compression: zstd', 'Compression: xz')),
  },
  {
    name: 'a compression that nobody knows',
    kinds: ['nar-unsupported'],
    do: ({ edit, samples }) =>
      edit(samples.middle.path, (text) => text.replace('Compression: zstd', 'Compression: shrink')),
  },
  {
    name: 'a FileHash that lies',
    kinds: ['nar-file-hash'],
    do: ({ edit, samples }) =>
      edit(samples.base.path, (text) => text.replace(/^FileHash: .*$/m, (line) => other(line))),
  },
  {
    name: 'a FileSize that lies',
    kinds: ['nar-size'],
    do: ({ edit, samples }) => edit(samples.base.path, (text) => text.replace(/^FileSize: /m, 'FileSize: 1')),
  },
  {
    name: 'a NarHash that lies',
    kinds: ['signature-wrong'],
    do: ({ edit, samples }) => edit(samples.base.path, (text) => text.replace(/^NarHash: .*$/m, (line) => other(line))),
  },
  {
    name: 'a NarSize that lies',
    kinds: ['signature-wrong'],
    do: ({ edit, samples }) => edit(samples.base.path, (text) => text.replace(/^NarSize: /m, 'NarSize: 1')),
  },
  {
    name: 'a URL that leads outside',
    kinds: ['nar-outside'],
    do: ({ edit, samples }) => edit(samples.base.path, (text) => text.replace(/^URL: .*$/m, 'URL: ../../etc/passwd')),
  },
  {
    name: 'a URL that leads elsewhere',
    kinds: ['nar-missing'],
    do: ({ edit, samples }) => edit(samples.base.path, (text) => text.replace(/^URL: nar/m, 'URL: nars')),
  },
  {
    name: 'a URL of another NAR',
    kinds: ['nar-size'],
    do: async ({ edit, narInfo, samples }) => {
      const { url } = parseNarInfo(await readFile(narInfo(samples.top.path), 'latin1'));
      await edit(samples.base.path, (text) => text.replace(/^URL: .*$/m, `URL: ${url}`));
    },
  },
  {
    name: 'a narinfo that is empty',
    kinds: ['narinfo-damaged'],
    do: ({ narInfo, samples }) => truncate(narInfo(samples.base.path), 0),
  },
  {
    name: 'a narinfo that ends early',
    kinds: ['narinfo-damaged'],
    do: ({ narInfo, samples }) => truncate(narInfo(samples.middle.path), 90),
  },
  {
    name: 'a narinfo that is no text',
    kinds: ['narinfo-damaged'],
    do: ({ narInfo, samples }) => writeFile(narInfo(samples.top.path), Buffer.from('\0\x01\xff\xfe', 'latin1')),
  },
  {
    name: 'a narinfo that is a web page',
    kinds: ['narinfo-damaged'],
    do: ({ narInfo, samples }) => writeFile(narInfo(samples.top.path), '<!doctype html><title>log in</title>\n'),
  },
  {
    name: 'a narinfo of another path',
    kinds: ['narinfo-damaged'],
    do: ({ narInfo, samples }) => copyFile(narInfo(samples.top.path), narInfo(samples.base.path)),
  },
  {
    name: 'a field that is there twice',
    kinds: ['narinfo-damaged'],
    do: ({ edit, samples }) => edit(samples.base.path, (text) => `${text}NarSize: 9\n`),
  },
  {
    name: 'a field that is missing',
    kinds: ['narinfo-damaged'],
    do: ({ edit, samples }) => edit(samples.base.path, (text) => text.replace(/^NarHash: .*\n/m, '')),
  },
  {
    name: 'a reference that is no name of a path',
    kinds: ['narinfo-damaged'],
    do: ({ edit, samples }) => edit(samples.top.path, (text) => text.replace(/^References: /m, 'References: ../x ')),
  },
  {
    name: 'a path of another store',
    kinds: ['narinfo-store-dir'],
    do: ({ edit, samples }) =>
      edit(samples.top.path, (text) => text.replace('StorePath: /nix/store', 'StorePath: /gnu/store')),
  },
  {
    name: 'a signature that is removed',
    kinds: ['signature-missing'],
    do: ({ edit, samples }) => edit(samples.top.path, (text) => text.replace(/^Sig: .*\n/m, '')),
  },
  {
    name: 'a signature that is broken',
    kinds: ['signature-wrong'],
    do: ({ edit, samples }) => edit(samples.top.path, (text) => text.replace(/^(Sig: test-1:).{4}/m, '$1AAAA')),
  },
  {
    name: 'a signature by a key that nobody trusts',
    kinds: ['signature-untrusted'],
    do: ({ edit, samples }) => edit(samples.top.path, (text) => text.replace(/^Sig: test-1:/m, 'Sig: stranger-1:')),
  },
  {
    name: 'a circle of references',
    kinds: ['reference-cycle', 'signature-wrong'],
    do: ({ edit, samples }) =>
      edit(samples.base.path, (text) => text.replace(/^References: .*$/m, `References: ${basename(samples.top.path)}`)),
  },
  {
    name: 'a content address that is none of the path',
    kinds: ['content-address'],
    do: ({ edit, samples }) =>
      edit(samples.base.path, (text) => `${text.replace(/^CA: .*\n/m, '')}CA: fixed:r:sha256:${'0'.repeat(52)}\n`),
  },
  {
    name: 'a listing that is damaged',
    kinds: ['listing-damaged'],
    do: ({ write, samples }) => write(`${samples.base.path.slice(11, 43)}.ls`, '{"version":1,"ro'),
  },
  {
    name: 'a listing of another path',
    kinds: ['listing-damaged'],
    do: ({ cache, samples }) =>
      copyFile(`${cache}/${samples.top.path.slice(11, 43)}.ls`, `${cache}/${samples.base.path.slice(11, 43)}.ls`),
  },
  {
    name: 'a listing that tells another name of the same length',
    contents: true,
    kinds: ['listing-damaged'],
    do: async ({ cache, samples }) => {
      const file = `${cache}/${samples.base.path.slice(11, 43)}.ls`;
      await writeFile(
        file,
        (await readFile(file, 'utf8')).replace(/"data"|"empty"/, (name) => (name === '"data"' ? '"dusk"' : '"ample"')),
      );
    },
  },
  {
    name: 'an orphaned NAR',
    kinds: ['nar-orphaned'],
    do: ({ write }) => write(`nar/${'0'.repeat(52)}.nar.zst`, 'NAR'),
  },
  { name: 'an orphaned listing', kinds: ['listing-orphaned'], do: ({ write }) => write(`${'0'.repeat(32)}.ls`, '{}') },
  { name: 'an orphaned log', kinds: ['log-orphaned'], do: ({ write }) => write(`log/${'0'.repeat(32)}-x.drv`, 'log') },
  {
    name: 'a realisation of what is not there',
    kinds: ['realisation-dangling'],
    do: ({ write }) => {
      const id = `sha256:${'0'.repeat(64)}!out`;
      const outPath = `${'1'.repeat(32)}-gone`;
      return write(
        `realisations/${id}.doi`,
        JSON.stringify({ id, outPath, dependentRealisations: {}, signatures: [] }),
      );
    },
  },
  {
    name: 'a realisation of the newer form of what is not there',
    kinds: ['realisation-dangling'],
    do: ({ write }) =>
      write(
        `build-trace-v2/${'0'.repeat(32)}-x.drv/out.doi`,
        JSON.stringify({ outPath: `${'1'.repeat(32)}-gone`, signatures: [] }),
      ),
  },
  {
    name: 'a realisation that is damaged',
    kinds: ['realisation-damaged'],
    do: ({ write }) => write(`realisations/sha256:${'1'.repeat(64)}!out.doi`, 'x'),
  },
  {
    name: 'debugging information of what is not there',
    kinds: ['debug-dangling'],
    do: ({ write }) =>
      write(`debuginfo/${'a'.repeat(40)}`, JSON.stringify({ archive: '../nar/gone.nar.xz', member: 'x' })),
  },
  {
    name: 'debugging information that is damaged',
    kinds: ['debug-damaged'],
    do: ({ write }) => write('debuginfo/abc', '['),
  },
  { name: 'no nix-cache-info', kinds: ['cache-info-missing'], do: ({ cache }) => rm(`${cache}/nix-cache-info`) },
  {
    name: 'a nix-cache-info that is damaged',
    kinds: ['cache-info-damaged'],
    do: ({ write }) => write('nix-cache-info', '\0\0'),
  },
  {
    name: 'a nix-cache-info of another store',
    kinds: ['cache-info-store-dir'],
    do: ({ write }) => write('nix-cache-info', 'StoreDir: /gnu/store\nPriority: 30\n'),
  },
  {
    name: 'a pin that is damaged',
    kinds: ['pin-damaged'],
    do: ({ write }) => write('carport/pins/tool.json', '{"vers'),
  },
  {
    name: 'a pin under another name',
    kinds: ['pin-misplaced'],
    do: ({ cache }) => copyFile(`${cache}/carport/pins/tool.json`, `${cache}/carport/pins/other.json`),
  },
  {
    name: 'a pin that somebody has changed',
    kinds: ['pin-wrong-signature'],
    do: async ({ cache, samples }) => {
      const file = `${cache}/carport/pins/tool.json`;
      await writeFile(file, (await readFile(file, 'utf8')).replaceAll(samples.top.path, samples.base.path));
    },
  },
  {
    name: 'a pin of what is not there',
    kinds: ['pin-dangling'],
    do: async ({ narInfo, samples }) => rm(narInfo(samples.top.path)),
  },
  {
    name: 'a lease that is damaged',
    kinds: ['lease-damaged'],
    do: ({ write }) => write(`carport/leases/${'0'.repeat(32)}.json`, '{'),
  },
  {
    name: 'a lease of a push that is gone',
    kinds: ['lease-expired'],
    do: ({ write }) => write(`carport/leases/${'0'.repeat(32)}.json`, claim({ waitsFor: [] })),
  },
  {
    name: 'a sweep that is damaged',
    kinds: ['sweep-damaged'],
    do: ({ write }) => write(`carport/sweeps/${'0'.repeat(32)}.json`, ''),
  },
  {
    name: 'a sweep of a collection that is gone',
    kinds: ['sweep-expired'],
    do: ({ write }) => write(`carport/sweeps/${'0'.repeat(32)}.json`, claim({ removesNars: true })),
  },
  {
    name: 'totals of a day that are damaged',
    kinds: ['record-damaged'],
    do: ({ write }) => write('carport/stats/2026-01-01.json', '{}'),
  },
  {
    name: 'a record that is damaged',
    kinds: ['record-damaged'],
    do: ({ write }) => write('carport/skips/00.json', '{"name":"x"}'),
  },
  {
    name: 'a temporary file of Nix',
    kinds: ['temporary'],
    do: ({ write }) => write('nar/abc.nar.xz.tmp.123.0', 'NAR'),
  },
  {
    name: 'a directory where a narinfo should be',
    kinds: ['not-a-file', 'reference-missing'],
    do: async ({ narInfo, samples }) => {
      await rm(narInfo(samples.base.path));
      await mkdir(narInfo(samples.base.path));
    },
  },
  {
    name: 'a directory where a NAR should be',
    kinds: ['not-a-file', 'nar-missing'],
    do: async ({ nar, samples }) => {
      const file = await nar(samples.base.path);
      await rm(file);
      await mkdir(file);
    },
  },
  {
    name: 'a link that leads nowhere',
    kinds: ['not-a-file', 'nar-missing'],
    do: async ({ nar, samples }) => {
      const file = await nar(samples.base.path);
      await rm(file);
      await symlink('gone', file);
    },
  },
  {
    name: 'a pipe where a NAR should be',
    kinds: ['not-a-file', 'nar-missing'],
    do: async ({ nar, samples }) => makePipe(await nar(samples.base.path)),
  },
  {
    name: 'a pipe where a narinfo should be',
    kinds: ['not-a-file', 'reference-missing'],
    do: ({ narInfo, samples }) => makePipe(narInfo(samples.base.path)),
  },
  {
    name: 'a link that leads to itself where a NAR should be',
    kinds: ['not-a-file', 'nar-missing'],
    do: async ({ nar, samples }) => linkToItself(await nar(samples.base.path)),
  },
  {
    name: 'a link that leads to itself where a narinfo should be',
    kinds: ['not-a-file', 'reference-missing'],
    do: ({ narInfo, samples }) => linkToItself(narInfo(samples.base.path)),
  },
  {
    name: 'a NAR under a name that says nothing',
    kinds: ['nar-missing'],
    do: async ({ cache, nar, samples }) => rename(await nar(samples.base.path), `${cache}/nar/app.nar.zst`),
  },
  {
    name: 'a NAR whose name ends otherwise',
    kinds: ['nar-missing'],
    do: async ({ nar, samples }) => {
      const file = await nar(samples.base.path);
      await rename(file, file.replace(/zst$/, 'xz'));
    },
  },
  {
    name: 'a link to a file',
    stays: true,
    kinds: ['link'],
    do: async ({ nar, samples }) => link(await nar(samples.base.path)),
  },
  {
    name: 'a narinfo that nobody may read',
    kinds: ['unreadable'],
    do: ({ narInfo, samples }) => chmod(narInfo(samples.base.path), 0),
  },
  {
    name: 'a NAR that nobody may read',
    kinds: ['unreadable'],
    do: async ({ nar, samples }) => chmod(await nar(samples.base.path), 0),
  },
  {
    name: 'names in another case, and of others',
    stays: true,
    kinds: ['foreign'],
    do: async ({ cache, write, samples }) => {
      const name = `${samples.base.path.slice(11, 43)}.narinfo`;
      await copyFile(join(cache, name), join(cache, name.toUpperCase()));
      await write('pictures/cat.png', 'PNG');
    },
  },
];

async function makePipe(file: string): Promise<void> {
  await rm(file);
  execFileSync('mkfifo', [file]);
}

async function linkToItself(file: string): Promise<void> {
  await rm(file);
  await symlink(basename(file), file);
}

async function link(file: string): Promise<void> {
  const moved = join(dirname(dirname(dirname(file))), 'elsewhere');
  await rename(file, moved);
  await symlink(moved, file);
}

function claim(own: object): string {
  const common = { id: '0'.repeat(32), seconds: 600, process: 'gone', hashParts: '' };
  return `${JSON.stringify({ schema: 1, ...common, ...own, signatures: [] })}\n`;
}

/** What there is one of in a cache, so that it cannot be damaged in two ways at once. */
function subjectOf({ name }: Damage): string | undefined {
  return /nix-cache-info|lease|sweep|pin|nobody may read|circle/.exec(name)?.[0];
}

function placeAt(cache: string, samples: SampleStore): Place {
  const narInfo = (path: string) => `${cache}/${path.slice(11, 43)}.narinfo`;
  return {
    ...{ cache, samples, narInfo },
    nar: async (path) => `${cache}/${parseNarInfo(await readFile(narInfo(path), 'latin1')).url}`,
    edit: async (path, change) => {
      const text = await readFile(narInfo(path), 'latin1');
      expect(change(text)).not.toBe(text);
      await writeFile(narInfo(path), change(text), 'latin1');
    },
    async write(name, content) {
      await mkdir(dirname(`${cache}/${name}`), { recursive: true });
      await writeFile(`${cache}/${name}`, content);
      // Else it might belong to a push that is under way.
      await utimes(`${cache}/${name}`, OLD, OLD);
    },
  };
}

describe('carport cache fsck', () => {
  const sample = useSampleCache();
  const box = useSandbox();
  let samples: SampleStore;
  let key: KeyFile;
  let place: Place;
  beforeEach(async () => {
    ({ samples, keyFile: key } = sample());
    const cache = await sample().copy(box().path('cache'));
    await box().succeed(['pin', 'set', 'tool', samples.top.path, '--to', cache, '--secret-key', key.file]);
    place = placeAt(cache, samples);
  });

  const fsck = async (...args: readonly string[]) => {
    const ran = await box().carport(['cache', 'fsck', place.cache, '--json', '--trusted-key', key.publicKey, ...args]);
    const lines = ran.stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
    const found = lines.filter(({ type }) => type === 'finding') as readonly Found[];
    return {
      ...ran,
      found,
      kinds: [...new Set(found.map(({ kind }) => kind))].sort(),
      result: lines.at(-1),
      all: lines,
    };
  };
  const mend = (...args: readonly string[]) =>
    fsck('--repair', '--store', samples.root, '--secret-key', key.file, ...args);

  it('finds nothing in a cache that is whole, and changes nothing', async () => {
    const before = await snapshot(place.cache);
    const { exitCode, found, result } = await fsck('--contents');
    expect([exitCode, found]).toEqual([0, []]);
    expect(result).toMatchObject({ type: 'result', paths: 3, left: { broken: 0, leftover: 0, note: 0 } });
    expect(await snapshot(place.cache)).toEqual(before);
  });

  it.each(DAMAGES.filter((damage) => subjectOf(damage) !== undefined || damage.stays))(
    'finds and mends $name',
    async (damage) => {
      const before = await snapshot(place.cache);
      await damage.do(place);
      const spoiled = await snapshot(place.cache).catch(() => undefined);
      const contents = damage.contents ? ['--contents'] : [];
      if (damage.contents) expect((await fsck()).kinds).toEqual([]);
      const first = await fsck(...contents);
      expect(first.kinds, first.stderr).toEqual(expect.arrayContaining([...damage.kinds]));
      expect(first.kinds.filter((kind) => !damage.kinds.includes(kind) && !CONSEQUENCES.includes(kind))).toEqual([]);
      const isBroken = first.result.left.broken > 0;
      expect(first.exitCode).toBe(isBroken ? 6 : 0);
      expect(await snapshot(place.cache).catch(() => undefined)).toEqual(spoiled);
      const repair = await mend(...contents);
      expect(repair.exitCode, repair.stdout + repair.stderr).toBe(0);
      const second = await fsck('--contents');
      expect([second.exitCode, second.kinds], repair.stdout).toEqual([0, damage.stays ? damage.kinds : []]);
      // Nothing was lost that a source has.
      const after = Object.keys(await snapshot(place.cache));
      const kept = Object.keys(before).filter((name) => !name.startsWith('carport/'));
      expect(after).toEqual(expect.arrayContaining(damage.stays ? [] : kept));
    },
  );

  it('makes no cache of what is none', async () => {
    const empty = box().path('empty');
    await mkdir(empty);
    for (const where of [empty, box().path('nowhere')]) {
      const ran = await box().carport(['cache', 'fsck', where, '--repair', '--store', samples.root]);
      expect(ran.exitCode, ran.stderr).toBe(5);
    }
    expect((await box().carport(['cache', 'fsck', box().path('nowhere')])).exitCode).toBe(5);
    expect(await readdir(box().root)).not.toContain('nowhere');
  });

  it('leaves what a push that is under way names, and says so', async () => {
    await rm(await place.nar(samples.base.path));
    const hashParts = samples.paths.map((path) => path.slice(11, 43)).join('');
    const lease = `${place.cache}/carport/leases/${'0'.repeat(32)}.json`;
    await mkdir(dirname(lease), { recursive: true });
    await writeFile(lease, claim({ hashParts, waitsFor: [] }));
    const repair = await fsck('--repair', '--store', box().path('none'));
    expect([repair.exitCode, repair.result.removed]).toEqual([6, 0]);
    expect(repair.stderr).toContain('a push that is under way names it');
    await rm(lease);
    expect((await mend()).exitCode).toBe(0);
    expect((await fsck()).found).toEqual([]);
  });

  it('removes no path since nobody who is trusted has signed it', async () => {
    const stranger = await box().makeKey('test-1');
    const trust = ['--trusted-key', stranger.publicKey];
    const before = await snapshot(place.cache);
    const repair = await box().carport([
      'cache',
      'fsck',
      place.cache,
      '--repair',
      '--store',
      box().path('none'),
      ...trust,
    ]);
    expect(repair.exitCode).toBe(6);
    expect(repair.stdout).toContain('signature-wrong');
    expect(await snapshot(place.cache)).toEqual(before);
  });

  it('removes nothing that a source has and that only a key is missing for', async () => {
    await rm(place.narInfo(samples.base.path));
    const before = Object.keys(await snapshot(place.cache));
    const repair = await fsck('--repair', '--store', samples.root);
    expect([repair.exitCode, repair.result.removed]).toEqual([6, 0]);
    expect(repair.stdout).toContain('--secret-key');
    expect(Object.keys(await snapshot(place.cache))).toEqual(before);
    expect((await mend()).exitCode).toBe(0);
    expect((await fsck()).found).toEqual([]);
  });

  it('removes what no source has, referrers first, and says so path by path', async () => {
    await rm(await place.nar(samples.base.path));
    const { mtimeMs } = await stat(await place.nar(samples.top.path));
    const repair = await fsck('--repair', '--store', box().path('none'));
    // So long whoever has pushed a NAR may take to write its narinfo.
    expect(Date.now() - mtimeMs).toBeGreaterThanOrEqual(15_000);
    const gone = repair.all.filter(({ type, did }) => type === 'repair' && did === 'removed');
    expect(gone.map(({ path }) => path).filter(Boolean)).toEqual(
      [samples.top, samples.middle, samples.base].map(({ path }) => path),
    );
    expect(repair.exitCode, repair.stdout).toBe(0);
    expect((await readdir(place.cache)).filter((name) => name.endsWith('.narinfo'))).toEqual([]);
    expect((await fsck()).found).toEqual([]);
  });

  it('leaves alone what refers to paths that pushes have left out, and so does a copy', async () => {
    const trust = ['--trusted-key', key.publicKey];
    const [upstream, own, mirror] = ['upstream', 'own', 'own-mirror'].map((name) => box().path(name)) as [
      string,
      string,
      string,
    ];
    await box().succeed(['cache', 'copy', place.cache, upstream, samples.base.path, ...trust]);
    const push = ['push', samples.top.path, '--store', samples.root, '--to', own, '--secret-key', key.file];
    await box().succeed([...push, '--skip-in', upstream]);
    const before = await snapshot(own);
    const ran = await box().carport(['cache', 'fsck', own, '--repair', '--store', box().path('none'), ...trust]);
    expect(ran.exitCode, ran.stderr).toBe(0);
    expect(ran.stdout).toContain('pushes to this cache leave out what other caches have');
    expect(await snapshot(own)).toEqual(before);
    await box().succeed(['cache', 'copy', own, mirror, ...trust]);
    expect((await readdir(mirror)).sort()).toEqual((await readdir(own)).sort());
    const again = await box().carport(['cache', 'fsck', mirror, ...trust]);
    expect(again.exitCode, again.stdout).toBe(0);
  });

  describe('a cache that is damaged in all these ways at once', () => {
    const made = useSandbox('all');
    let large: Awaited<ReturnType<typeof createLargeStore>>;
    let done: readonly (Damage & { readonly keys: readonly string[] })[];
    const [damaged, mirror] = [() => made().path('damaged'), () => made().path('mirror')];
    beforeAll(async () => {
      const sizes = Array.from({ length: 60 }, (_, index) => 2000 + index * 97);
      large = await createLargeStore(made().root, sizes);
      const push = ['push', large.top, '--store', large.root, '--to', damaged(), '--pin', 'tool'];
      await made().succeed([...push, '--secret-key', sample().keyFile.file]);
      await copyCache(damaged(), mirror());
      const each: (Damage & { keys: readonly string[] })[] = [];
      let before: Readonly<Record<string, string>> = await snapshot(damaged());
      for (const damage of DAMAGES) {
        if (subjectOf(damage) !== undefined || damage.stays) continue;
        const path = large.paths[each.length]!;
        const other = /another (NAR|path)/.test(damage.name) ? large.paths.at(-2)! : path;
        const paths = { base: { path }, middle: { path }, top: { path: other } } as unknown as SampleStore;
        await damage.do(placeAt(damaged(), paths));
        const after: Readonly<Record<string, string>> = await snapshot(damaged());
        const names = Object.keys({ ...before, ...after });
        each.push({ ...damage, keys: names.filter((name) => before[name] !== after[name]) });
        before = after;
      }
      await ageNars(damaged());
      done = each;
    });
    beforeEach(async () => {
      await rm(place.cache, { recursive: true });
      // With pipes, links and times.
      execFileSync('cp', ['-a', damaged(), place.cache]);
    });

    it.each([
      ['a store', () => ['--store', large.root, '--secret-key', key.file]],
      ['another cache', () => ['--store', box().path('none'), '--from', mirror()]],
      ['nothing', () => ['--store', box().path('none')]],
    ])('is mended from %s, and whole then', async (_, sources) => {
      const first = await fsck('--contents');
      expect(done.length).toBeGreaterThan(35);
      for (const { name, kinds, keys } of done) {
        const of = first.found
          .filter((finding) => kinds.includes(finding.kind))
          .map((finding) => JSON.stringify(finding));
        const isTold = keys.some((key) => of.some((finding) => finding.includes(key.replace(/\.narinfo$/, ''))));
        expect(isTold, name).toBe(true);
      }
      const repair = await fsck('--repair', '--contents', ...sources());
      const second = await fsck('--contents');
      expect(
        [
          second.exitCode,
          second.found.filter(({ kind }) => kind !== 'signature-missing' && kind !== 'signature-untrusted'),
        ],
        repair.stderr,
      ).toEqual([0, []]);
    });
  });
});
