import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { formatHash, hashBytes } from '#lib/nix/hash.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { answerWith, useHttpServers } from '../support/http-server.js';
import { useSampleCache } from '../support/sample-cache.js';
import { createAdder, noise } from '../support/samples.js';
import { useSandbox } from '../support/sandbox.js';
import { narInfosOf } from '../support/transfers.js';
import { frameWithWindow, skippableFrame } from '../support/zstd.js';

const REMOVAL = /remove|delete|erase/;

describe('a NAR that a pull refuses', () => {
  const sample = useSampleCache();
  const box = useSandbox();
  const serve = useHttpServers();
  let cache: string;
  let path: string;
  let url: string;
  beforeEach(async () => {
    cache = await sample().copy(box().path('cache'));
    path = sample().samples.base.path;
    url = (await narInfosOf(cache)).get(path)!.url;
  });

  const pull = async (from = cache) => {
    const { publicKey } = sample().keyFile;
    const args = ['pull', path, '--from', from, '--trusted-key', publicKey, '--json'];
    const { exitCode, stderr } = await box().carport(args);
    expect((await box().succeed(['store', 'ls'])).stdout).toBe('');
    const error = JSON.parse(stderr.trimEnd().split('\n').at(-1)!);
    expect(error.message).toContain(path);
    return { exitCode, ...error } as {
      exitCode: number;
      code: string;
      message: string;
      causes: string[];
      hint: string;
    };
  };
  const read = () => readFile(`${cache}/${url}`);
  const write = (bytes: Uint8Array) => writeFile(`${cache}/${url}`, bytes);
  const flipped = (bytes: Buffer, at = bytes.length >> 1) => {
    const copy = Buffer.from(bytes);
    copy[at]! ^= 1;
    return copy;
  };
  const edit = async (change: (text: string) => string) => {
    const file = `${cache}/${hashPartOf(path)}.narinfo`;
    const text = await readFile(file, 'latin1');
    expect(change(text)).not.toBe(text);
    await writeFile(file, change(text), 'latin1');
  };
  /** Writes a file, and has the narinfo tell of it, as its writer would. */
  const writeTold = async (bytes: Uint8Array) => {
    await write(bytes);
    const hash = formatHash(hashBytes('sha256', bytes), 'nix32');
    await edit((text) =>
      text
        .replace(/^FileHash: .*$/m, `FileHash: sha256:${hash}`)
        .replace(/^FileSize: .*$/m, `FileSize: ${bytes.length}`),
    );
  };

  it('is damaged when it has the same wrong bytes again: only then a hint says to remove it, after a check', async () => {
    await write(flipped(await read()));
    const { exitCode, code, message, hint } = await pull();
    expect([exitCode, code]).toEqual([6, 'E_INTEGRITY']);
    expect(message).toMatch(/ is damaged$/);
    expect(hint).toContain(`\`${url}\` had the same wrong bytes each of 2 times`);
    expect(hint.indexOf('--check-all')).toBeLessThan(hint.search(REMOVAL));
  });

  it('is mended by a push with `--check-all`, as the hint says, when its size is wrong', async () => {
    const whole = await read();
    await write(whole.subarray(0, -1));
    const { message, causes } = await pull();
    expect(message).toMatch(/ is damaged$/);
    expect(causes[0]).toMatch(/^the file's hash is sha256-/);
    const { samples, keyFile } = sample();
    await box().succeed([
      ...['push', samples.top.path, '--store', samples.root, '--to', cache],
      ...['--secret-key', keyFile.file, '--check-all'],
    ]);
    expect((await read()).equals(whole)).toBe(true);
  });

  it('and that its writer made so, is not called damaged', async () => {
    const whole = await read();
    await writeTold(flipped(whole));
    const { exitCode, message, hint } = await pull();
    expect(exitCode).toBe(6);
    expect(message).toMatch(/ cannot be used$/);
    expect(hint).toContain(`\`${url}\` is as its writer left it`);
    expect(hint).toContain(`nix copy --from 'file://${cache}' ${path}`);
    expect(hint).not.toMatch(REMOVAL);
  });

  it('and of which nothing tells whether it is whole, is not called damaged', async () => {
    await write(flipped(await read()));
    await edit((text) => text.replace(/^File(Hash|Size): .*\n/gm, ''));
    const { exitCode, message, hint } = await pull();
    expect(exitCode).toBe(6);
    expect(message).toMatch(/ cannot be used$/);
    expect(hint).toContain('no FileHash');
    expect(hint).not.toMatch(REMOVAL);
  });

  it('whose file is another, and holds what was signed, is not called damaged', async () => {
    await write(Buffer.concat([await read(), skippableFrame(Buffer.from('more'))]));
    await edit((text) => text.replace(/^FileSize: .*\n/m, ''));
    const { exitCode, message, hint } = await pull();
    expect(exitCode).toBe(6);
    expect(message).toMatch(/ is in another file than its narinfo says$/);
    expect(hint).not.toMatch(REMOVAL);
  });

  it('of another compression than its narinfo says, is told by its first bytes', async () => {
    await writeTold(gzipSync('whatever'));
    const { exitCode, causes, hint } = await pull();
    expect(exitCode).toBe(6);
    expect(causes[0]).toBe('the file is gzip, and its narinfo says zstd');
    expect(hint).not.toMatch(REMOVAL);
  });

  it('that carport cannot read, is told so', async () => {
    await writeTold(frameWithWindow((31 - 10) << 3));
    const { exitCode, code, message, causes, hint } = await pull();
    expect([exitCode, code]).toEqual([1, 'E_UNSUPPORTED']);
    expect(message).toMatch(/ cannot be read$/);
    expect(causes[0]).toContain('a window of more than 128 MiB');
    expect(hint).toContain('Nix may read it');
    expect(hint).not.toMatch(REMOVAL);
    await edit((text) => text.replace(/^Compression: .*$/m, 'Compression: strange'));
    expect(await pull()).toMatchObject({
      code: 'E_UNSUPPORTED',
      hint: expect.stringContaining('carport reads none, zstd, xz, gzip, br'),
    });
  });

  it('from a server that sends other bytes each time, may be whole there', async () => {
    const whole = await read();
    let fetches = 0;
    const answer = async (file: string) =>
      file === `/${url}` ? flipped(whole, whole.length - 30 - fetches++) : readFile(`${cache}${file}`);
    const { url: from } = await serve((request, response) => {
      answer(request.url!).then(
        (bytes) => answerWith(response, bytes),
        () => answerWith(response, '', { status: 404 }),
      );
    });
    const { exitCode, message, hint } = await pull(from.href);
    expect(exitCode).toBe(6);
    expect(fetches).toBe(3);
    expect(message).toMatch(/ comes with other bytes each time$/);
    expect(hint).toContain('the file in the cache may be whole');
    expect(hint).not.toMatch(REMOVAL);
  });

  it('from a server that sends the same wrong bytes, is looked at from another machine before it is removed', async () => {
    await write(flipped(await read()));
    let fetches = 0;
    const { url: from } = await serve((request, response) => {
      if (request.url === `/${url}`) fetches++;
      readFile(`${cache}${request.url}`).then(
        (bytes) => answerWith(response, bytes),
        () => answerWith(response, '', { status: 404 }),
      );
    });
    const { message, hint } = await pull(from.href);
    expect(fetches).toBe(2);
    expect(message).toMatch(/ is damaged$/);
    expect(hint).toContain('each of 2 times');
    expect(hint.indexOf('another machine')).toBeLessThan(hint.search(REMOVAL));
  });

  it('whose narinfo tells of a file that is too large for it, is not called damaged', async () => {
    await write(flipped(await read()));
    await edit((text) => text.replace(/^FileSize: .*$/m, 'FileSize: 99999999999'));
    const { exitCode, message, hint } = await pull();
    expect(exitCode).toBe(6);
    expect(message).toMatch(/ cannot be used$/);
    expect(hint).toContain('too large');
    expect(hint).not.toContain('no FileHash');
    expect(hint).not.toMatch(REMOVAL);
  });

  it('is larger than its narinfo says, also where small ones are read whole', async () => {
    const { url: from } = await serve((request, response) => {
      if (request.url === `/${url}`) return answerWith(response, Buffer.alloc(2_000_000, 1));
      readFile(`${cache}${request.url}`).then(
        (bytes) => answerWith(response, bytes),
        () => answerWith(response, '', { status: 404 }),
      );
    });
    const { exitCode, code, causes } = await pull(from.href);
    expect([exitCode, code]).toEqual([6, 'E_INTEGRITY']);
    expect(causes[0]).toMatch(/^the file is larger than its \d+ bytes$/);
  });

  it('is named by `cache cat`, which has read it once', async () => {
    await write(flipped(await read()));
    const { publicKey } = sample().keyFile;
    const ran = await box().carport(['cache', 'cat', cache, `${path}/empty`, '--trusted-key', publicKey]);
    expect(ran.exitCode).toBe(6);
    expect(ran.stderr).toContain(`the NAR of \`${path}\` in \`file://${cache}\` is damaged, or was damaged on the way`);
    expect(ran.stderr).not.toMatch(REMOVAL);
  });
});

describe('what goes wrong on the way to a NAR', () => {
  const box = useSandbox('all');
  const serve = useHttpServers();
  let cache: string;
  let path: string;
  let url: string;
  let trust: readonly string[];
  beforeAll(async () => {
    const key = await box().makeKey('test-1');
    const [store, trees] = [box().path('store'), box().path('trees')];
    const add = createAdder(store, trees);
    // Larger than what is read whole.
    ({ path } = await add('large', { file: noise(3_000_000, 1) }));
    await add.close();
    cache = box().path('cache');
    await box().succeed(['push', path, '--store', store, '--to', cache, '--secret-key', key.file]);
    url = (await narInfosOf(cache)).get(path)!.url;
    trust = ['--trusted-key', key.publicKey];
  });

  /** Serves the cache, but for the NAR. */
  const serveBut = async (nar: (response: ServerResponse, fetch: number, bytes: Buffer) => void) => {
    let fetches = 0;
    const { url: from } = await serve((request, response) => {
      readFile(`${cache}${request.url}`).then(
        (bytes) => (request.url === `/${url}` ? nar(response, ++fetches, bytes) : answerWith(response, bytes)),
        () => answerWith(response, '', { status: 404 }),
      );
    });
    return from.href;
  };
  /** Breaks off after some bytes of an answer that has this ETag. */
  const breakOff = (response: ServerResponse, bytes: Buffer, etag: string) => {
    response.writeHead(200, { 'content-length': bytes.length, etag });
    response.write(bytes.subarray(0, 1_000_000), () => setTimeout(() => response.destroy(), 50));
  };
  let stores = 0;
  const pull = (from: string) =>
    box().carport(['pull', path, '--from', from, ...trust, '--store', box().path(`pulled-${stores++}`)]);
  const cat = (from: string) => box().carport(['cache', 'cat', from, `${path}/file`, ...trust]);

  it('is told as it is: a file that changes while it is read', async () => {
    const from = await serveBut((response, fetch, bytes) => breakOff(response, bytes, `"v${fetch}"`));
    for (const { exitCode, stderr } of [await pull(from), await cat(from)]) {
      expect(exitCode).toBe(6);
      expect(stderr).toContain('changed while it was read');
      expect(stderr).toContain('hint: run it again');
      expect(stderr).not.toContain('FileHash');
      expect(stderr).not.toContain('writer');
    }
  });

  it('is tried again when the file has changed once', async () => {
    const from = await serveBut((response, fetch, bytes) =>
      fetch === 1 ? breakOff(response, bytes, '"v1"') : answerWith(response, bytes, { headers: { etag: '"v2"' } }),
    );
    expect((await pull(from)).lines).toEqual([path]);
  });

  it('is told as it is: a server that does not know how', async () => {
    const from = await serveBut((response) => answerWith(response, 'no', { status: 501 }));
    for (const { exitCode, stderr } of [await pull(from), await cat(from)]) {
      expect(exitCode).not.toBe(0);
      expect(stderr).toContain('501');
      expect(stderr).not.toContain('FileHash');
      expect(stderr).not.toContain('writer');
    }
  });

  it('is told as it is: no file in a directory', async () => {
    const copy = box().path('copy');
    await cp(cache, copy, { recursive: true });
    await rm(`${copy}/${url}`);
    await mkdir(`${copy}/${url}`);
    const { exitCode, stderr } = await pull(copy);
    expect(exitCode).not.toBe(0);
    expect(stderr).toContain('not a plain file');
    expect(stderr).not.toContain('FileHash');
  });
});
