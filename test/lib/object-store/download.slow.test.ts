import { createHash } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { CarportError } from '#lib/errors.js';
import { openConnections } from '#lib/http/connections/connections.js';
import type { Transport } from '#lib/http/transport.js';
import { downloadOf, readWhole } from '#lib/object-store/download.js';
import { gather, noise } from '../../support/files.js';
import { answerWith, getRequest, useHttpServers } from '../../support/http-server.js';

const CONTENT = noise(300_000);

describe('a download', () => {
  const serve = useHttpServers();
  const closes: (() => void)[] = [];
  afterEach(() => {
    for (const close of closes.splice(0)) close();
  });
  const connect = (stallMs = 20_000): Transport => {
    const { signal } = new AbortController();
    const authorities = async () => ({ trusted: undefined, unusable: [] });
    const { send, close } = openConnections({ connections: 4, stallMs, authorities, env: {}, signal });
    closes.push(close);
    return send;
  };

  /** Begins a download; gives how to read it. */
  const open = async (url: URL, send = connect()) => {
    const request = getRequest(url);
    return downloadOf({ response: await send(request), request, send });
  };

  interface Break {
    /** Bytes of each answer, then it breaks. */
    readonly after: readonly number[];
    readonly ranges?: boolean;
    readonly etags?: readonly string[];
    readonly end?: (response: ServerResponse) => unknown;
    readonly content?: Buffer;
  }

  /** Serves the content and breaks the first answers off; keeps the ranges that were asked for. */
  const serveBroken = async (options: Break) => {
    const { after, ranges = true, etags = ['"tag"'], content = CONTENT } = options;
    const { end = (response) => void response.destroy() } = options;
    const asked: (string | undefined)[] = [];
    const { url } = await serve((request: IncomingMessage, response: ServerResponse) => {
      const at = asked.push(request.headers.range) - 1;
      const start = ranges ? Number(/bytes=([0-9]+)-/.exec(request.headers.range ?? '')?.[1] ?? 0) : 0;
      const etag = etags[Math.min(at, etags.length - 1)]!;
      const bytes = content.subarray(start);
      const headers = {
        'content-length': bytes.length,
        ...(etag !== '' && { etag }),
        ...(start > 0 && { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` }),
      };
      response.writeHead(start > 0 ? 206 : 200, headers);
      const limit = after[at];
      if (limit === undefined) response.end(bytes);
      else response.write(bytes.subarray(0, limit), () => setTimeout(() => end(response), 20));
    });
    return { url, asked };
  };

  it.each([1, 5, 16_384, 65_536, 150_000, 299_999])('that breaks off after %d bytes goes on there', async (after) => {
    const { url, asked } = await serveBroken({ after: [after] });
    expect((await gather((await open(url)).bytes())).equals(CONTENT)).toBe(true);
    expect(asked).toEqual([undefined, `bytes=${after}-`]);
  });

  it('that breaks off before its first byte is asked for again, as a whole', async () => {
    const { url, asked } = await serveBroken({ after: [0] });
    expect((await gather((await open(url)).bytes())).equals(CONTENT)).toBe(true);
    expect(asked).toEqual([undefined, 'bytes=0-']);
  });

  it('that breaks off again and again goes on as long as more comes', async () => {
    const { url, asked } = await serveBroken({ after: Array.from({ length: 20 }, () => 10_000) });
    expect((await gather((await open(url)).bytes())).equals(CONTENT)).toBe(true);
    expect(asked.length).toBe(21);
  });

  it('of which the last byte came before the connection broke is complete', async () => {
    const events = new EventEmitter();
    const whole = once(events, 'whole');
    const broken = once(events, 'broken');
    const { url, asked } = await serveBroken({
      after: [300_000],
      end: async ({ socket }) => {
        // A reset takes along what was not read yet.
        await whole;
        socket!.once('close', () => events.emit('broken')).resetAndDestroy();
      },
    });
    const pieces: Buffer[] = [];
    let size = 0;
    for await (const piece of (await open(url)).bytes()) {
      pieces.push(Buffer.from(piece));
      size += piece.length;
      if (size < CONTENT.length) continue;
      events.emit('whole');
      await broken;
      await sleep(50);
    }
    expect(Buffer.concat(pieces).equals(CONTENT)).toBe(true);
    expect(asked.length).toBe(1);
  });

  it('that stalls goes on over another connection', async () => {
    const { url, asked } = await serveBroken({ after: [100_000], end: () => undefined });
    expect((await gather((await open(url, connect(1_500))).bytes())).equals(CONTENT)).toBe(true);
    expect(asked).toEqual([undefined, 'bytes=100000-']);
  });

  it('from a server without ranges begins again, and gives each byte once', async () => {
    const { url, asked } = await serveBroken({ after: [70_000, 30_000, 200_000], ranges: false });
    expect((await gather((await open(url)).bytes())).equals(CONTENT)).toBe(true);
    expect(asked).toEqual([undefined, 'bytes=70000-', 'bytes=70000-', 'bytes=200000-']);
  });

  it('is given up after six tries that brought nothing', async () => {
    const { url, asked } = await serveBroken({ after: [1_000, ...Array.from({ length: 20 }, () => 0)] });
    const error = await gather((await open(url)).bytes()).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CarportError);
    expect((error as CarportError).code).toBe('E_UNAVAILABLE');
    expect(asked.length).toBe(7);
  });

  it('of less than the server says of it is said to be that, and not to have changed', async () => {
    const { url } = await serve((request: IncomingMessage, response: ServerResponse) => {
      const { range } = request.headers;
      if (range !== undefined) return response.writeHead(416, { 'content-range': 'bytes */1000' }).end();
      response.writeHead(200, { 'content-length': 5000, etag: '"tag"' });
      return response.write(CONTENT.subarray(0, 1000), () => setTimeout(() => response.destroy(), 20));
    });
    await expect(gather((await open(url)).bytes())).rejects.toMatchObject({
      code: 'E_INTEGRITY',
      message: expect.stringMatching(/^`127\.0\.0\.1:\d+` sends less of `\/.*` than it says$/),
      cause: new Error('it says that the file has 5000 bytes, and that nothing comes behind the first 1000'),
    });
  });

  it.each([
    ['another ETag', { after: [1_000], etags: ['"one"', '"two"'] }],
    ['no ETag any more', { after: [1_000], etags: ['"one"', ''] }],
    ['another ETag and no ranges', { after: [1_000], etags: ['"one"', '"two"'], ranges: false }],
  ])('whose object was replaced is no mixture: %s', async (_, options) => {
    const { url } = await serveBroken(options);
    await expect(gather((await open(url)).bytes())).rejects.toMatchObject({
      code: 'E_INTEGRITY',
      message: expect.stringContaining('changed while it was read'),
    });
  });

  it.each([
    ['is gone', (response: ServerResponse) => answerWith(response, 'no', { status: 404 })],
    ['is shorter', (response: ServerResponse) => answerWith(response, 'no', { status: 416 })],
    [
      'is of another size',
      (response: ServerResponse) =>
        answerWith(response, 'xx', { status: 206, headers: { 'content-range': 'bytes 1000-1001/1002' } }),
    ],
    [
      'comes from elsewhere in it',
      (response: ServerResponse) =>
        answerWith(response, CONTENT.subarray(999), {
          status: 206,
          headers: { 'content-range': 'bytes 999-299999/300000' },
        }),
    ],
  ])('whose rest %s fails', async (_, answer) => {
    let asked = 0;
    const { url } = await serve((__, response) => {
      if (asked++ > 0) return answer(response);
      response.writeHead(200, { 'content-length': 300_000 });
      response.write(CONTENT.subarray(0, 1_000), () => setTimeout(() => response.destroy(), 20));
    });
    await expect(gather((await open(url)).bytes())).rejects.toMatchObject({ code: 'E_INTEGRITY' });
  });

  it('of which the rest comes in several short ranges is whole', async () => {
    const asked: (string | undefined)[] = [];
    const { url } = await serve((request, response) => {
      asked.push(request.headers.range);
      const start = Number(/bytes=([0-9]+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
      if (start > 0) {
        const part = CONTENT.subarray(start, start + 100_000);
        const range = `bytes ${start}-${start + part.length - 1}/300000`;
        return answerWith(response, part, { status: 206, headers: { 'content-range': range } });
      }
      response.writeHead(200, { 'content-length': 300_000 });
      response.write(CONTENT.subarray(0, 50_000), () => setTimeout(() => response.destroy(), 20));
    });
    expect((await gather((await open(url)).bytes())).equals(CONTENT)).toBe(true);
    expect(asked).toEqual([undefined, 'bytes=50000-', 'bytes=150000-', 'bytes=250000-']);
  });

  it('lets its connection go when its reader stops', async () => {
    const server = await serve((_, response) => answerWith(response, noise(5_000_000)));
    for await (const _ of (await open(server.url)).bytes()) break;
    await expect.poll(server.open, { interval: 5 }).toBe(0);
  });

  describe('of a small object', () => {
    const md5 = (bytes: Uint8Array) => `"${createHash('md5').update(bytes).digest('hex')}"`;

    /** Answers in turn, the last again and again. */
    const readFrom = async (answers: readonly { readonly body: string; readonly etag?: string }[], limit = 100) => {
      let asked = 0;
      const { url } = await serve((_, response) => {
        const { body, etag } = answers[Math.min(asked++, answers.length - 1)]!;
        answerWith(response, body, { headers: etag === undefined ? {} : { etag } });
      });
      const bytes = await readWhole(() => open(url), limit, 'x.narinfo');
      return { text: bytes?.toString(), asked };
    };

    it('is read once when it is what its ETag says, or its ETag says nothing', async () => {
      const etag = md5(Buffer.from('good'));
      expect(await readFrom([{ body: 'good', etag }])).toEqual({ text: 'good', asked: 1 });
      expect(await readFrom([{ body: 'good' }])).toEqual({ text: 'good', asked: 1 });
      expect(await readFrom([{ body: 'good', etag: '"5-abc"' }])).toEqual({ text: 'good', asked: 1 });
      expect(await readFrom([{ body: 'good', etag: `W/${md5(Buffer.from('x'))}` }])).toEqual({
        text: 'good',
        asked: 1,
      });
    });

    it('is read again when it was damaged on the way', async () => {
      const etag = md5(Buffer.from('good'));
      const answers = ['goof', 'food', 'good'].map((body) => ({ body, etag }));
      expect(await readFrom(answers)).toEqual({ text: 'good', asked: 3 });
    });

    it('is taken when its ETag is no MD5 of it, after another look', async () => {
      expect(await readFrom([{ body: 'good', etag: md5(Buffer.from('x')) }])).toEqual({ text: 'good', asked: 2 });
    });

    it('is nothing when there is none, and refused when it is large', async () => {
      expect(await readWhole(async () => undefined, 10, 'x')).toBeUndefined();
      await expect(readFrom([{ body: 'x'.repeat(101) }])).rejects.toThrow('more than the 100 bytes');
    });
  });
});
