import { mkdir, readdir, writeFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { describe, expect, it } from 'vitest';
import { asListable, asWritable, isListable, type ObjectStore } from '#lib/object-store/object-store.js';
import { createSpool } from '#lib/object-store/spool.js';
import { gather, useDirectory } from '../../support/files.js';
import { answerWith, readRequest, useHttpServers } from '../../support/http-server.js';
import { useStores } from '../../support/stores.js';

const TEXT = { contentType: 'text/plain' };

describe('a web server as an object store', () => {
  const serve = useHttpServers();
  const stores = useStores();
  const netrc = 'machine 127.0.0.1 login me password geheim\n';

  const open = async (answer: RequestListener, { path = '', withNetrc = false } = {}) => {
    const server = await serve(answer);
    const opened = await stores();
    if (withNetrc) await writeFile(opened.box.path('home/.netrc'), netrc);
    return opened.open(server.url.href + path, { patienceMs: 500 }).objects;
  };

  it.each([403, 404, 410])('has no object where it answers %d', async (status) => {
    const objects = await open((_, response) => answerWith(response, 'no', { status }));
    expect([await objects.read('x', 10), await objects.open('x'), await objects.stat('x')]).toEqual([
      ...[undefined, undefined, undefined],
    ]);
  });

  it.each([
    [401, 'E_CREDENTIALS', 'wants a user name and password'],
    [407, 'E_CREDENTIALS', 'wants a user name and password'],
    [400, 'E_REMOTE', 'refused'],
    [500, 'E_UNAVAILABLE', 'does not answer as it should'],
  ])('says what %d means', async (status, code, message) => {
    const objects = await open((_, response) => answerWith(response, 'no', { status }));
    const error = { code, message: expect.stringContaining(message), hint: expect.any(String) };
    await expect(objects.read('x', 10)).rejects.toMatchObject(error);
    await expect(objects.stat('x')).rejects.toMatchObject(error);
  });

  it.each([400, 403, 404, 405, 501])('does not take uploads when it answers PUT with %d', async (status) => {
    const objects = await open(async (request, response) => {
      await readRequest(request);
      answerWith(response, '', { status });
    });
    await expect(objects.put('x', Buffer.from('x'), TEXT)).rejects.toMatchObject({
      code: 'E_REMOTE',
      message: expect.stringContaining('does not take uploads'),
    });
  });

  it('is told what an object is, when it takes uploads', async () => {
    const seen: unknown[] = [];
    const objects = await open(
      async (request, response) => {
        const { 'content-type': type, 'cache-control': cache } = request.headers;
        seen.push([request.method, request.url, type, cache, (await readRequest(request)).toString()]);
        answerWith(response, '', { status: 201 });
      },
      { path: 'some/cache' },
    );
    await objects.put('nar/a b', Buffer.from('x'), { contentType: 'a/b', cacheControl: 'max-age=1' });
    await objects.put('bare', Buffer.alloc(0), TEXT);
    expect(seen).toEqual([
      ['PUT', '/some/cache/nar/a%20b', 'a/b', 'max-age=1', 'x'],
      ['PUT', '/some/cache/bare', 'text/plain', undefined, ''],
    ]);
  });

  it.each([301, 302, 303, 307, 308])('may redirect with %d, also several times', async (status) => {
    const objects = await open((request, response) => {
      const step = Number(/^\/step([0-9])/.exec(request.url!)?.[1] ?? 0);
      if (step === 4) answerWith(response, 'found');
      else answerWith(response, '', { status, headers: { location: `/step${step + 1}?a=%20b` } });
    });
    expect((await objects.read('x', 10))?.toString()).toBe('found');
    expect((await objects.stat('x'))?.size).toBe(5);
  });

  it.each([
    ['in circles', '/x'],
    ['to nowhere', ''],
    ['to what is no URL', 'http://'],
    ['to a file', 'file:///etc/passwd'],
  ])('is not followed %s', async (_, location) => {
    const objects = await open((__, response) => answerWith(response, '', { status: 302, headers: { location } }));
    await expect(objects.read('x', 10)).rejects.toMatchObject({
      code: 'E_REMOTE',
      message: expect.stringContaining('not followed'),
    });
  });

  const rangeOf = async (objects: ObjectStore, offset: number, length: number) => {
    const object = (await objects.open('x', { offset, length }))!;
    return { size: object.size, text: (await gather(object.bytes())).toString() };
  };

  it('may know no ranges: what was asked for is cut out of all', async () => {
    const objects = await open((_, response) => answerWith(response, '0123456789'));
    expect(await rangeOf(objects, 3, 4)).toEqual({ size: 4, text: '3456' });
    expect(await rangeOf(objects, 8, 10)).toEqual({ size: 2, text: '89' });
    expect(await rangeOf(objects, 10, 1)).toEqual({ size: 0, text: '' });
  });

  it('may know no ranges and go on without end: nothing is read behind the range', async () => {
    const objects = await open((_, response) => {
      const more = () =>
        void (response.destroyed || response.write(Buffer.alloc(50_000, 'x'), () => setImmediate(more)));
      more();
    });
    const object = (await objects.open('x', { offset: 100_000, length: 200_000 }))!;
    expect(object.size).toBeNaN();
    expect((await gather(object.bytes())).length).toBe(200_000);
  });

  it('is not believed when it answers with another range', async () => {
    const headers = { 'content-range': 'bytes 0-3/10' };
    const objects = await open((_, response) => answerWith(response, '0123', { status: 206, headers }));
    await expect(objects.open('x', { offset: 3, length: 4 })).rejects.toMatchObject({ code: 'E_REMOTE' });
  });

  it('hands a range on to the server that it redirects to', async () => {
    const asked: (string | undefined)[] = [];
    const other = await serve((request, response) => {
      asked.push(request.headers.range);
      answerWith(response, '3456', { status: 206, headers: { 'content-range': 'bytes 3-6/*' } });
    });
    const objects = await open((_, response) =>
      answerWith(response, '', { status: 302, headers: { location: other.url.href } }),
    );
    expect(await rangeOf(objects, 3, 4)).toEqual({ size: 4, text: '3456' });
    expect(asked).toEqual(['bytes=3-6']);
  });

  it('tells its time, also where a proxy has kept the answer, or the object is missing', async () => {
    const date = 'Sat, 28 Nov 2026 10:00:00 GMT';
    const kept = await open((_, response) => answerWith(response, '', { headers: { date, age: '90' } }));
    expect((await kept.now()).toISOString()).toBe('2026-11-28T10:01:30.000Z');
    const missing = await open((_, response) => answerWith(response, '', { status: 404, headers: { date } }));
    expect((await missing.now()).toISOString()).toBe('2026-11-28T10:00:00.000Z');
    const silent = await open((_, response) => {
      response.sendDate = false;
      answerWith(response);
    });
    await expect(silent.now()).rejects.toMatchObject({ code: 'E_REMOTE', message: expect.stringContaining('time') });
  });

  it('gets the password of ~/.netrc; a server that it redirects to does not', async () => {
    const seen: (string | undefined)[] = [];
    const other = await serve((request, response) => {
      seen.push(request.headers.authorization);
      answerWith(response, 'elsewhere');
    });
    const objects = await open(
      (request, response) => {
        seen.push(request.headers.authorization);
        const location = request.url === '/far' ? `http://localhost:${other.url.port}/` : '/near-2';
        if (request.url === '/near-2') answerWith(response, 'here');
        else answerWith(response, '', { status: 302, headers: { location } });
      },
      { withNetrc: true },
    );
    const basic = `Basic ${Buffer.from('me:geheim').toString('base64')}`;
    expect((await objects.read('near', 10))?.toString()).toBe('here');
    expect((await objects.read('far', 10))?.toString()).toBe('elsewhere');
    expect(seen).toEqual([basic, basic, basic, undefined]);
  });

  it('may refuse that password, which is not repeated', async () => {
    const objects = await open((_, response) => answerWith(response, '', { status: 401 }), { withNetrc: true });
    const error = (await objects.read('x', 10).catch((thrown: unknown) => thrown)) as Error & { hint: string };
    expect(error.message).toContain('refuses the user name and password');
    for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
      expect(cause.stack).not.toContain('geheim');
    }
    expect(error.hint).not.toContain('geheim');
  });

  it('does not keep carport from what is there when it hides how large it is', async () => {
    const objects = await open((_, response) => void response.end('chunks'));
    const pieces: Uint8Array[] = [];
    for await (const piece of (await objects.open('x'))!.bytes()) pieces.push(piece);
    expect(Buffer.concat(pieces).toString()).toBe('chunks');
    expect((await objects.read('x', 10))?.toString()).toBe('chunks');
  });

  it('has neither a listing nor a way to remove', async () => {
    const objects = await open((_, response) => answerWith(response));
    expect(isListable(objects)).toBe(false);
    expect(() => asListable(objects)).toThrow('cannot be listed');
    expect(() => asWritable(objects, 'where nothing can be removed')).toThrow('is a web server, where nothing can be');
    expect(objects.localFile('x')).toBeUndefined();
  });
});

describe('a spool', () => {
  const directory = useDirectory();

  it('is a private directory that is made when it is needed, and removed', async () => {
    const spool = createSpool(directory());
    await spool.remove();
    expect(await readdir(directory())).toEqual([]);
    const names = await Promise.all([spool.name(), spool.name(), spool.name()]);
    expect(new Set(names).size).toBe(3);
    const made = await readdir(directory());
    expect(made.length).toBe(1);
    for (const name of names) await writeFile(name, 'x', { flag: 'wx' });
    await spool.remove();
    await spool.remove();
    expect(await readdir(directory())).toEqual([]);
  });

  it('says where it cannot be made', async () => {
    const parent = `${directory()}/none/such`;
    await expect(createSpool(parent).name()).rejects.toThrow('ENOENT');
    await mkdir(parent, { recursive: true });
    await createSpool(parent).remove();
  });
});
