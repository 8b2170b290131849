import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { type NarInfo, parseNarInfo, renderNarInfo } from '#lib/nix/narinfo.js';
import { baseNameOf, hashPartOf } from '#lib/nix/store-path.js';
import { renderPublicKey } from '#lib/signing/key.js';
import { signPath } from '#lib/signing/signature.js';
import type { TakeJob, TakenPath, UnplacedTree } from '#lib/workers/jobs.js';
import { ticketFiles } from '#lib/workers/ticket-files.js';
import { useDirectory } from '../../support/files.js';
import { usePool } from '../../support/pool.js';
import { useSampleCache } from '../../support/sample-cache.js';
import { sampleKey } from '../../support/samples.js';

const sample = useSampleCache();
const pool = usePool(1);
const directory = useDirectory();
const at = (...names: string[]): string => join(directory(), ...names);

let cache: string;
beforeEach(async () => {
  cache = await sample().copy(at('cache'));
  for (const each of ['store', 'info', 'claims']) mkdirSync(at(each));
});

const storeDirs = () => ({
  storeDir: '/nix/store',
  realStoreDir: at('store'),
  infoDir: at('info'),
  claimsDir: at('claims'),
});
const ticket = (path: string) => ({ baseName: baseNameOf(path), temporary: `.tmp-${hashPartOf(path)}` });
const filesOf = (path: string) => ticketFiles(storeDirs(), ticket(path));

async function take(paths: readonly string[], changes: Partial<TakeJob> = {}): Promise<readonly TakenPath[]> {
  const keys = [renderPublicKey(sample().key.publicKey)];
  const job = {
    type: 'take',
    tickets: JSON.stringify(paths.map(ticket)),
    cache,
    storeDirs: storeDirs(),
    keys,
  } as const;
  const { paths: taken } = await pool.run({ ...job, allowUnsigned: false, ...changes });
  return JSON.parse(taken) as readonly TakenPath[];
}

function narInfoFile(path: string): string {
  return join(cache, `${hashPartOf(path)}.narinfo`);
}

function change(path: string, changes: Partial<NarInfo>): void {
  const info = parseNarInfo(readFileSync(narInfoFile(path), 'latin1'));
  writeFileSync(narInfoFile(path), renderNarInfo({ ...info, ...changes }));
}

const listed = (name: string) => readdirSync(at(name)).sort();

describe('paths of a directory', () => {
  it('are registered where they need no other, and prepared where they do', async () => {
    const { base, middle } = sample().samples;
    const states = await take([base.path, middle.path]);
    expect(states.map(({ state, isWritten }) => [state, isWritten])).toEqual([
      ['placed', undefined],
      ['unpacked', true],
    ]);
    expect(states.map(({ text }) => parseNarInfo(text!).path)).toEqual([base.path, middle.path]);
    expect(listed('claims')).toEqual([]);
    expect(listed('store')).toEqual([ticket(middle.path).temporary, baseNameOf(base.path)].sort());

    const { tree, ...placement } = filesOf(middle.path);
    const trees: readonly UnplacedTree[] = [{ tree, placement }];
    expect(await pool.run({ type: 'place', trees: JSON.stringify(trees) })).toEqual(['placed']);
    expect(listed('store')).toEqual([base.path, middle.path].map(baseNameOf).sort());
    expect(listed('info')).toEqual([base.path, middle.path].map((path) => `${hashPartOf(path)}.narinfo`).sort());
    expect(listed('claims')).toEqual([]);
    const known = parseNarInfo(readFileSync(placement.metadata, 'latin1'));
    expect(known).toMatchObject({ path: middle.path, references: middle.references, compression: 'none' });
  });

  it('are not placed over what is there, which stays', async () => {
    const { base, middle } = sample().samples;
    mkdirSync(join(at('store'), baseNameOf(base.path), 'other'), { recursive: true });
    expect((await take([base.path]))[0]!.state).toBe('unpacked');
    await take([middle.path]);
    const { tree, ...placement } = filesOf(middle.path);
    writeFileSync(placement.metadata, 'another');
    expect(await pool.run({ type: 'place', trees: JSON.stringify([{ tree, placement }]) })).toEqual(['unpacked']);
    expect(existsSync(tree)).toBe(true);
    expect(readFileSync(placement.metadata, 'utf8')).toBe('another');
    expect(listed('claims')).toEqual([]);
  });

  it.each<[string, (path: string) => void]>([
    ['what is registered already', (path) => writeFileSync(filesOf(path).metadata, '')],
    ['a narinfo that is none', (path) => writeFileSync(narInfoFile(path), 'StorePath: ')],
    ['what nobody has signed', (path) => change(path, { signatures: [] })],
    ['a key that is not trusted', (path) => resign(path, 'other-1')],
    ['a wrong signature', (path) => change(path, { narSize: 1 })],
    ['another path', (path) => writeFileSync(narInfoFile(path), readFileSync(narInfoFile(sample().samples.top.path)))],
  ])('are refused for %s, and nothing is made', async (_, spoil) => {
    const { base } = sample().samples;
    spoil(base.path);
    expect(await take([base.path])).toEqual([{ state: 'refused' }]);
    expect(listed('store')).toEqual([]);
    expect(listed('claims')).toEqual([]);
  });

  it.each<[string, 'found' | 'failed', (path: string) => void]>([
    ['leads elsewhere', 'found', (path) => change(path, { url: '../other/nar/x.nar' })],
    ['has parameters', 'found', (path) => change(path, { url: 'nar/x.nar?a=b' })],
    ['is of another compression', 'found', (path) => change(path, { compression: 'xz' })],
    ['is large', 'found', (path) => change(path, { fileSize: 1_000_000 })],
    ['is missing', 'failed', (path) => change(path, { url: 'nar/x.nar' })],
    ['is not as its narinfo says', 'failed', (path) => change(path, { fileSize: 7 })],
  ])('are left to others when the NAR %s', async (_, state, spoil) => {
    const { base } = sample().samples;
    spoil(base.path);
    const [taken] = await take([base.path]);
    expect(taken).toEqual({ state, text: readFileSync(narInfoFile(base.path), 'latin1') });
    expect(listed('info')).toEqual([]);
    expect(listed('claims')).toEqual([]);
  });

  it('are taken unsigned where that is allowed', async () => {
    const { base } = sample().samples;
    change(base.path, { signatures: [] });
    expect((await take([base.path], { allowUnsigned: true }))[0]!.state).toBe('placed');
  });

  function resign(path: string, name: string): void {
    const info = parseNarInfo(readFileSync(narInfoFile(path), 'latin1'));
    change(path, { signatures: [signPath(info, sampleKey(name))] });
  }
});
