import { mkdir, readdir, writeFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { describe, expect, it } from 'vitest';
import { asListable, asWritable, isListable } from '#lib/object-store/object-store.js';
import { createSpool } from '#lib/object-store/spool.js';
import { useDirectory } from '../../support/files.js';
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
