import { spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import zstd from 'zstd-napi/binding.js';
import { exitCodeOf } from '#bin/cli/exit-code.js';
import type { CarportError } from '#lib/errors.js';
import { hashBytes } from '#lib/nix/hash.js';
import { type NarInfo, renderNarInfo } from '#lib/nix/narinfo.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { renderPublicKey } from '#lib/signing/key.js';
import { signPath } from '#lib/signing/signature.js';
import { nodePath } from '../support/arbitraries.js';
import { measuring, readMeasured } from '../support/measure.js';
import { FILE_TOKENS, narOf, narString } from '../support/nar.js';
import { sampleKey } from '../support/samples.js';
import { useSandbox } from '../support/sandbox.js';
import { createTransfers, type Transfers } from '../support/transfers.js';

const KEY = sampleKey('test-1');
const NAR = narOf(...FILE_TOKENS);
const PATH = nodePath('bomb');

/** So begins the NAR of a file of a gigabyte; the narinfo says that it is small. */
const HEAD = Buffer.concat([narString('nix-archive-1'), ...['(', 'type', 'regular', 'contents'].map(narString)]);
const BOMB_SIZE = 1024 * 1024 * 1024;

const COMPRESS = {
  zstd: (bytes: Uint8Array) => {
    const context = new zstd.CCtx();
    const output = Buffer.alloc(zstd.compressBound(bytes.length));
    return output.subarray(0, context.compress2(output, bytes));
  },
  xz: (bytes: Uint8Array) => spawnSync('xz', ['-c', '-1'], { input: bytes, maxBuffer: 1e9 }).stdout,
  gzip: (bytes: Uint8Array) => gzipSync(bytes, { level: 1 }),
  br: (bytes: Uint8Array) => brotliCompressSync(bytes, { params: { 1: 1 } as never }),
} as const;
type Compression = keyof typeof COMPRESS;
const ALL = Object.keys(COMPRESS) as Compression[];

describe('a compressed NAR', () => {
  const box = useSandbox('all');
  let transfers: Transfers;
  const bombs = new Map<Compression, Buffer>();
  beforeAll(async () => {
    transfers = createTransfers();
    const bomb = Buffer.alloc(64 * 1024 * 1024);
    HEAD.copy(bomb);
    bomb.writeBigUInt64LE(BigInt(BOMB_SIZE), HEAD.length);
    for (const compression of ALL) bombs.set(compression, Buffer.from(COMPRESS[compression](bomb)));
    await mkdir(box().path('cache/nar'), { recursive: true });
    await writeFile(box().path('cache/nix-cache-info'), 'StoreDir: /nix/store\n');
  });

  afterAll(() => transfers.close());

  /** Puts a file into the cache, as the NAR of a signed narinfo. */
  const plant = async (file: Uint8Array, compression: string, more: Partial<NarInfo> = {}) => {
    const info: NarInfo = {
      ...{ path: PATH, narHash: hashBytes('sha256', NAR), narSize: NAR.length, references: [], signatures: [] },
      ...{ url: 'nar/file', compression, unknownFields: [], ...more },
    };
    await writeFile(box().path('cache/nar/file'), file);
    const text = renderNarInfo({ ...info, signatures: [signPath(info, KEY)] });
    await writeFile(box().path('cache', `${hashPartOf(PATH)}.narinfo`), text);
    await rm(box().path('store'), { recursive: true, force: true });
  };
  const left = () => readdir(box().path('store/nix/store'));

  const runPull = () => {
    const args = ['pull', PATH, '--from', box().path('cache'), '--store', box().path('store'), '--jobs', '1'];
    const env = measuring(box().path('measured.json'));
    return box().carport([...args, '--trusted-key', renderPublicKey(KEY.publicKey)], { env });
  };

  /** Pulls within this process; gives the exit code that it would have. */
  const pull = async (...planted: Parameters<typeof plant>): Promise<number> => {
    await plant(...planted);
    const wanted = { caches: [box().path('cache')], store: box().path('store'), roots: [PATH] };
    const exitCode = await transfers.pull({ ...wanted, keys: [KEY.publicKey] }).then(
      () => 0,
      (error: unknown) => exitCodeOf((error as CarportError).code),
    );
    expect(await left()).toHaveLength(exitCode === 0 ? 1 : 0);
    return exitCode;
  };

  it.each(ALL)('that explodes is stopped at the signed size, in little memory (%s)', async (compression) => {
    const bomb = bombs.get(compression)!;
    expect(bomb.length).toBeLessThan(500_000);
    await plant(bomb, compression);
    const { exitCode, stderr } = await runPull();
    expect(exitCode).toBe(6);
    expect(stderr).toContain(`because the NAR is larger than the ${NAR.length} bytes that were signed`);
    expect(await left()).toEqual([]);
    expect((await readMeasured(box().path('measured.json'))).maxRss).toBeLessThan(120e6);
  });

  it.each(ALL)('is taken when it is what was signed (%s)', async (compression) => {
    expect(await pull(COMPRESS[compression](NAR), compression)).toBe(0);
    expect(await readFile(box().path('store', PATH), 'utf8')).toBe('x');
  });

  it.each(ALL)('that is cut short anywhere is refused (%s)', async (compression) => {
    const whole = COMPRESS[compression](NAR);
    for (let size = 0; size < whole.length; size++) {
      expect(await pull(whole.subarray(0, size), compression), `${size} of ${whole.length} bytes`).toBe(6);
    }
  });

  it('may be of several zstd frames, and skippable ones', async () => {
    const frames = [NAR.subarray(0, 50), NAR.subarray(50, 51), NAR.subarray(51)].map(COMPRESS.zstd);
    const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
    const file = Buffer.concat([skippable, ...frames, skippable]);
    expect(await pull(file, 'zstd')).toBe(0);
  });

  it.each([
    ['another frame with more bytes', Buffer.concat([COMPRESS.zstd(NAR), COMPRESS.zstd(Buffer.from('more'))])],
    ['bytes that are no frame', Buffer.concat([COMPRESS.zstd(NAR), Buffer.from('garbage')])],
    ['a frame that is cut short', Buffer.concat([COMPRESS.zstd(NAR), COMPRESS.zstd(NAR).subarray(0, 8)])],
    ['a skippable frame that claims 4 GB', Buffer.concat([COMPRESS.zstd(NAR), Buffer.from('502a4d18ffffffff', 'hex')])],
  ])('is refused when after its zstd frame comes %s', async (_, file) => {
    expect(await pull(file, 'zstd')).toBe(6);
  });

  it('is refused when its file is larger or smaller than the narinfo says, or another', async () => {
    const file = COMPRESS.zstd(NAR);
    for (const fileSize of [file.length - 1, file.length + 1]) {
      expect(await pull(file, 'zstd', { fileSize })).toBe(6);
    }
    expect(await pull(file, 'zstd', { fileHash: hashBytes('sha256', 'other') })).toBe(6);
    expect(await pull(file, 'zstd', { fileSize: file.length, fileHash: hashBytes('sha256', file) })).toBe(0);
  });

  it('is refused when its compression is another than the narinfo says', async () => {
    for (const compression of ['none', 'xz', 'gzip', 'br']) {
      expect(await pull(COMPRESS.zstd(NAR), compression), compression).toBe(6);
    }
  });

  it('is refused when the compression is not supported, with those that are', async () => {
    for (const compression of ['lrzip', '__proto__']) {
      await plant(NAR, compression);
      const { exitCode, stderr } = await runPull();
      expect([exitCode, await left()]).toEqual([1, []]);
      expect(stderr).toContain(`compression \`${compression}\` is not supported`);
    }
  });
});
