import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CarportError } from '#lib/errors.js';
import { hashBytes } from '#lib/nix/hash.js';
import { createWorkerPool, type WorkerPool } from '#lib/workers/pool.js';
import { PIECE_SIZE, SOURCE_WINDOW } from '#lib/workers/protocol.js';
import { fileOf, noise, stream, useDirectory } from '../../support/files.js';
import { naiveNar } from '../../support/nar.js';

const directory = useDirectory();
const at = (name: string): string => join(directory(), name);

let pool: WorkerPool;
beforeEach(() => {
  pool = createWorkerPool(2);
});
afterEach(() => pool.close());

function writeNoise(name: string, size: number): string {
  writeFileSync(at(name), noise(size, name));
  return at(name);
}

const hashOf = (name: string, size: number) => hashBytes('sha256', naiveNar(fileOf(noise(size, name))));

/** A NAR of a file, and the job that unpacks it when it is streamed in. */
function unpackJob(name: string, size: number) {
  const nar = naiveNar(fileOf(noise(size)));
  const promise = { compression: 'none', narHash: hashBytes('sha256', nar), narSize: nar.length };
  return { nar, job: { type: 'unpack', destination: at(name), promise } as const };
}

/** Work for a thread of half a second or so. */
function heavyJob(name: string) {
  const path = writeNoise(name, 4_000_000);
  return {
    type: 'pack',
    path,
    compression: 'zstd',
    level: 19,
    listing: false,
    hashParts: [],
    spoolPath: at(`${name}.spool`),
  } as const;
}

describe('a worker pool', () => {
  it('gives each job its own result, more jobs than threads', async () => {
    const names = Array.from({ length: 40 }, (_, index) => `file-${index}`);
    const jobs = names.map((name, index) => pool.run({ type: 'hash', path: writeNoise(name, index * 1000) }));
    const results = await Promise.all(jobs);
    expect(results.map(({ narHash }) => Buffer.from(narHash.digest).toString('hex'))).toEqual(
      names.map((name, index) => Buffer.from(hashOf(name, index * 1000).digest).toString('hex')),
    );
  });

  it('runs light jobs beside each other, sources too', async () => {
    const jobs = Array.from({ length: 20 }, (_, index) => {
      const { nar, job } = unpackJob(`out-${index}`, 50_000 + index);
      return pool.run(job, { source: stream(nar, 5000), weight: 50_000 });
    });
    const results = await Promise.all(jobs);
    expect(results.map(({ fileSize }) => fileSize)).toEqual(
      results.map((_, index) => unpackJob('', 50_000 + index).nar.length),
    );
  });

  it('lets heavy work have its turn, and what waits behind it, where light work does not end', async () => {
    const single = createWorkerPool(1);
    const { nar, job } = unpackJob('stuck', 50_000);
    let goOn = () => {};
    async function* stuck() {
      yield Uint8Array.from(nar.subarray(0, 1000));
      await new Promise<void>((resolve) => {
        goOn = resolve;
      });
      yield Uint8Array.from(nar.subarray(1000));
    }
    const waiting = single.run(job, { source: stuck(), weight: 50_000 });
    const path = writeNoise('heavy', 2_000_000);
    const heavy = single.run({ type: 'hash', path }, { weight: 2_000_000 });
    const light = single.run({ type: 'hash', path: writeNoise('light', 1000) }, { weight: 1000 });
    expect([(await heavy).narSize, (await light).narSize]).toEqual(
      [2_000_000, 1000].map((size) => naiveNar(fileOf(noise(size))).length),
    );
    goOn();
    expect(await waiting).toEqual({ fileSize: nar.length });
    await single.close();
  });

  it('tells of progress, of all bytes in all', async () => {
    const path = writeNoise('file', 10_000_000);
    const reports: number[] = [];
    const { narSize } = await pool.run({ type: 'hash', path }, { onProgress: (bytes) => reports.push(bytes) });
    expect(reports.length).toBeGreaterThan(1);
    expect(reports.reduce((sum, bytes) => sum + bytes, 0)).toBe(narSize);
  });

  it('rejects with the error of the job: its class, code and hint', async () => {
    execFileSync('mkfifo', [at('pipe')]);
    const error = await pool.run({ type: 'hash', path: at('pipe') }).catch((reason) => reason);
    expect(error).toBeInstanceOf(CarportError);
    expect(error).toMatchObject({ code: 'E_FORMAT', message: expect.stringContaining('neither file') });
    expect(error.hint).toContain('remove it');
    await expect(pool.run({ type: 'hash', path: at('missing') })).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('keeps the causes of an error', async () => {
    const { job } = unpackJob('out', 1000);
    const promise = { ...job.promise, compression: 'zstd' };
    const run = pool.run({ ...job, promise }, { source: stream(Buffer.from('this is not zstd')) });
    const error = await run.catch((reason) => reason);
    expect(error).toMatchObject({ code: 'E_INTEGRITY' });
    expect(error.cause).toMatchObject({ message: expect.stringMatching(/frame|magic|descriptor/i) });
  });

  it('goes on after jobs that failed', async () => {
    const failures = Array.from({ length: 10 }, () => pool.run({ type: 'hash', path: at('missing') }));
    expect((await Promise.allSettled(failures)).every(({ status }) => status === 'rejected')).toBe(true);
    const path = writeNoise('file', 1000);
    expect(await pool.run({ type: 'hash', path })).toMatchObject({ narHash: { algorithm: 'sha256' } });
  });
});

describe('a source that is streamed to a worker', () => {
  it('rejects the job with the very error that it throws', async () => {
    const failure = new Error('the connection broke');
    const { nar, job } = unpackJob('out', 100_000);
    async function* broken() {
      yield Uint8Array.from(nar.subarray(0, 1000));
      throw failure;
    }
    await expect(pool.run(job, { source: broken() })).rejects.toBe(failure);
  });

  it('is not read far ahead of a worker that is busy', async () => {
    const single = createWorkerPool(1);
    let busy = true;
    let readWhileBusy = 0;
    const { nar, job } = unpackJob('out', 8_000_000);
    async function* source() {
      for await (const piece of stream(nar, 50_000)) {
        if (busy) readWhileBusy += piece.length;
        yield piece;
      }
    }
    const heavy = single.run(heavyJob('heavy'), { weight: 1 }).then(() => {
      busy = false;
    });
    const light = single.run(job, { source: source(), weight: 1 });
    await Promise.all([heavy, light]);
    await single.close();
    expect(readWhileBusy).toBeGreaterThan(0);
    expect(readWhileBusy).toBeLessThanOrEqual((SOURCE_WINDOW + 2) * PIECE_SIZE);
  });

  it('is left when the job has failed', async () => {
    const { nar, job } = unpackJob('out', 1_000_000);
    const promise = { ...job.promise, narSize: 10 };
    const released = new Promise<void>((resolve) => {
      async function* source() {
        try {
          for (;;) yield* stream(nar, 1000);
        } finally {
          resolve();
        }
      }
      pool.run({ ...job, promise }, { source: source() }).catch(() => undefined);
    });
    await released;
  });

  it('keeps its own buffers when its pieces share one', async () => {
    const { nar, job } = unpackJob('out', 300_000);
    const copy = Buffer.from(nar);
    await pool.run(job, { source: stream(nar, 10_000) });
    expect(nar.equals(copy)).toBe(true);
  });

  it.each([1, 1000, PIECE_SIZE / 2, PIECE_SIZE / 2 + 1, PIECE_SIZE, PIECE_SIZE + 1, 10_000_000])(
    'arrives as it is, in pieces of %d bytes',
    async (size) => {
      const { nar, job } = unpackJob('out', size === 1 ? 3000 : 1_000_003);
      const { length } = nar;
      expect(await pool.run(job, { source: stream(nar, size) })).toEqual({ fileSize: length });
    },
  );
});

describe('closing a worker pool', () => {
  it('rejects the jobs that run, those that wait, and those that come', async () => {
    const single = createWorkerPool(1);
    const running = single.run(heavyJob('one')).catch((reason) => reason);
    const waiting = single.run(heavyJob('two')).catch((reason) => reason);
    await single.close();
    expect(String(await running)).toContain('the worker pool is closed');
    expect(String(await waiting)).toContain('the worker pool is closed');
    await expect(single.run({ type: 'hash', path: at('one') })).rejects.toThrow('the worker pool is closed');
  });

  it('may be done for a reason', async () => {
    const single = createWorkerPool(1);
    const jobs = ['one', 'two'].map((name) => single.run(heavyJob(name)).catch((reason) => reason));
    const reason = new Error('somebody wants it');
    await Promise.all([single.close(reason), single.close()]);
    expect(await Promise.all(jobs)).toEqual([reason, reason]);
  });

  it('may be done twice, and before anything ran', async () => {
    await pool.close();
    await expect(pool.close()).resolves.toBeUndefined();
  });
});

describe('a thread that dies', () => {
  const { postMessage } = Worker.prototype;
  const workers = new Set<Worker>();
  beforeEach(() => {
    workers.clear();
    Worker.prototype.postMessage = function (this: Worker, ...args: Parameters<typeof postMessage>) {
      workers.add(this);
      return postMessage.apply(this, args);
    };
  });
  afterEach(() => {
    Worker.prototype.postMessage = postMessage;
  });

  it('rejects the jobs that it had, and the pool goes on with the others', async () => {
    const single = createWorkerPool(1);
    const running = single.run(heavyJob('heavy')).catch((reason) => reason);
    const path = writeNoise('file', 1000);
    const waiting = single.run({ type: 'hash', path });
    await [...workers][0]!.terminate();
    expect(String(await running)).toContain('ended before its job was done');
    expect(await waiting).toMatchObject({ narSize: naiveNar(fileOf(noise(1000))).length });
    expect(workers.size).toBe(2);
    await single.close();
  });

  it('rejects them with why it died', async () => {
    const running = pool.run(heavyJob('heavy')).catch((reason) => reason);
    const crash = new Error('out of memory');
    const [worker] = workers;
    worker!.emit('error', crash);
    await worker!.terminate();
    expect(await running).toBe(crash);
  });
});
