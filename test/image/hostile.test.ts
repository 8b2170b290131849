import { mkdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readImage } from '#image/base.js';
import { copyImage } from '#image/copy.js';
import type { HttpRequest } from '#lib/http/transport.js';
import { describe as described, type RawManifest, renderDocument } from '#lib/oci/documents.js';
import { isLayout, makeLayout, openLayout } from '#lib/oci/layout.js';
import { DOCKER, layerTypeIn, OCI } from '#lib/oci/media-types.js';
import { parseReference } from '#lib/oci/reference.js';
import type { Login } from '#lib/oci/registry/login.js';
import { openRepository } from '#lib/oci/registry/repository.js';
import { resumeUploads, uploadRequest } from '#lib/oci/registry/upload.js';
import type { ImageStore } from '#lib/oci/store.js';
import { useDirectory } from '../support/files.js';

const directory = useDirectory();

interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** A repository that is answered by a function, and what it was asked. */
function repository(name: string, answer: (request: HttpRequest) => Answer, login?: Login) {
  const asked: string[] = [];
  const send = async (request: HttpRequest) => {
    const { authorization } = request.headers;
    asked.push(`${request.method} ${request.url.href}${authorization === undefined ? '' : ` ${authorization}`}`);
    const { status = 200, headers = {}, body = '' } = answer(request);
    return { status, headers, body: pieces(body), discard() {} };
  };
  const http = { close() {}, transport: (inner: (send: unknown) => unknown) => inner(send) } as never;
  const reference = parseReference(name, { plainHttp: true });
  return { asked, store: openRepository({ reference, http, writes: false, login: async () => login }) };
}

async function* pieces(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

const PASSWORD: Login = { kind: 'password', user: 'dev', password: 'hidden' };

describe('a registry', () => {
  it.each(['<html>log in</html>', 'null', '[]', '{"tags":"v1"}', '{"tags":[1]}', ''])(
    'whose tags are %j is told by its name',
    async (body) => {
      const { store } = repository('r.example.org/a', () => ({ body }));
      await expect(store.tags()).rejects.toMatchObject({ code: 'E_FORMAT' });
      await expect(store.tags()).rejects.toThrow('`r.example.org/a`');
    },
  );

  it.each(['{"tags":null}', '{"name":"a"}'])('has no tags: %s', async (body) => {
    expect(await repository('r.example.org/a', () => ({ body })).store.tags()).toEqual([]);
  });

  it('that lets nobody remove images is told by its name, and a tag alone may stay', async () => {
    const { store } = repository('r.example.org/a', () => ({ status: 405 }));
    await expect(store.remove(`sha256:${'0'.repeat(64)}`)).rejects.toMatchObject({
      code: 'E_UNSUPPORTED',
      message: expect.stringContaining('`r.example.org`'),
    });
    expect(await store.remove('v1')).toBe('kept');
    expect(await repository('r.example.org/a', () => ({ status: 404 })).store.remove('v1')).toBe('gone');
  });

  it('that knows no such repository has no list of its tags', async () => {
    const { store } = repository('r.example.org/a', () => ({ status: 404 }));
    await expect(store.tags()).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });

  it.each([
    [{ status: 200, body: '<html>' }, 'E_REMOTE'],
    [{ status: 201, headers: { 'docker-content-digest': `sha256:${'0'.repeat(64)}` } }, 'E_INTEGRITY'],
  ])('that answers an image with %j has not taken it', async (answer, code) => {
    const { store } = repository('r.example.org/a', () => answer);
    const image = described(OCI.index, renderDocument({ schemaVersion: 2, manifests: [] }));
    await expect(store.putManifest(image, 'v1')).rejects.toMatchObject({ code });
  });

  it.each([
    [401, 'refuses the login that was found, or does not let it'],
    [403, 'does not let this login do that'],
  ])('that answers a login with %i', async (status, words) => {
    const headers = { 'www-authenticate': 'Basic realm="x"' };
    const found = repository(
      'r.example.org/a',
      ({ headers: { authorization } }) => ({ status: authorization === undefined ? 401 : status, headers }),
      PASSWORD,
    );
    await expect(found.store.tags()).rejects.toThrow(words);
  });

  const withRealm = (name: string, realm: string) =>
    repository(
      name,
      ({ url, headers }) => {
        if (url.pathname === '/token') return { body: '{"token":"abc"}' };
        if (headers.authorization === 'Bearer abc') return { body: '{"tags":["v1"]}' };
        return { status: 401, headers: { 'www-authenticate': `Bearer realm="${realm}"` } };
      },
      PASSWORD,
    );

  it.each([
    ['http://r.example.org:5000/a', 'http://auth.example.org/token'],
    ['http://r.example.org:5000/a', 'http://127.0.0.1/token'],
    ['localhost:5000/a', 'http://auth.example.org/token'],
    ['r.example.org/a', 'http://r.example.org/token'],
    ['a/b', 'http://auth.docker.io/token'],
  ])('%s does not get the password told at %s', async (name, realm) => {
    const { store, asked } = withRealm(name, realm);
    await expect(store.tags()).rejects.toMatchObject({ code: 'E_REMOTE' });
    expect(asked).toHaveLength(1);
  });

  it.each([
    ['http://r.example.org:5000/a', 'http://r.example.org:5001/token'],
    ['http://r.example.org:5000/a', 'https://auth.example.org/token'],
    ['localhost:5000/a', 'http://127.0.0.1:5001/token'],
    ['a/b', 'https://auth.docker.io/token'],
  ])('%s gets it told at %s', async (name, realm) => {
    expect(await withRealm(name, realm).store.tags()).toEqual(['v1']);
  });

  it.each(['http://elsewhere.example/u', 'http://r.example.org/u', 'ftp://r.example.org/u', 'http://['])(
    'does not get the rest of an upload at %s',
    async (location) => {
      const asked: string[] = [];
      const send = resumeUploads(async ({ method, url }) => {
        asked.push(`${method} ${url.href}`);
        if (asked.length === 1) throw new Error('cut off');
        return { status: 204, headers: { range: '0-9', location }, body: pieces(''), discard() {} } as never;
      });
      const blob = { size: 100, open: () => pieces('x'.repeat(100)) };
      const request = uploadRequest(new URL('https://r.example.org/v2/u'), blob);
      await expect(send(request)).rejects.toThrow('cut off');
      await expect(send(request)).rejects.toMatchObject({ code: 'E_REMOTE' });
      expect(asked).toEqual(['PATCH https://r.example.org/v2/u', 'GET https://r.example.org/v2/u']);
    },
  );
});

describe('indexes in indexes', () => {
  const config = { mediaType: OCI.config, digest: `sha256:${'0'.repeat(64)}`, size: 0 };
  const image = (of: string) =>
    described(
      OCI.manifest,
      renderDocument({ schemaVersion: 2, mediaType: OCI.manifest, config, layers: [], annotations: { of } }),
    );
  const platform = { os: 'linux', architecture: 'amd64' };
  const indexOf = (images: readonly RawManifest[]) => {
    const manifests = images.map(({ descriptor }) => ({ ...descriptor, platform }));
    return described(OCI.index, renderDocument({ schemaVersion: 2, mediaType: OCI.index, manifests }));
  };
  /** So many indexes in each other, which name each thing ten times. */
  const nested = (levels: number) => {
    const documents = [image('one')];
    for (let level = 0; level < levels; level++) documents.push(indexOf(Array(10).fill(documents.at(-1)!)));
    return documents;
  };
  const storeOf = (documents: readonly RawManifest[]) => {
    const asked: string[] = [];
    const store = {
      description: 'a store',
      manifest: async (digest: string) => {
        asked.push(digest);
        return documents.find(({ descriptor }) => descriptor.digest === digest);
      },
      hasBlob: async () => true,
      putManifest: async () => undefined,
    } as unknown as ImageStore;
    return { asked, store };
  };
  const work = { emit() {}, signal: new AbortController().signal };
  const copy = (top: RawManifest, store: ImageStore) => copyImage(top, { store }, { target: store, tag: 't' }, work);

  it('are copied with each thing once', async () => {
    const documents = nested(4);
    const { asked, store } = storeOf(documents);
    expect(await copy(documents.at(-1)!, store)).toMatchObject({ present: 1 });
    expect(asked).toHaveLength(4);
  });

  it('are refused where they are too deep, or too many', async () => {
    const deep = nested(5);
    await expect(copy(deep.at(-1)!, storeOf(deep).store)).rejects.toMatchObject({ code: 'E_UNSUPPORTED' });
    const deepImages = nested(0);
    for (let level = 0; level < 5; level++) deepImages.push(indexOf([deepImages.at(-1)!]));
    const { store } = storeOf(deepImages);
    const { digest } = deepImages.at(-1)!.descriptor;
    await expect(readImage(store, digest, undefined)).rejects.toMatchObject({ code: 'E_UNSUPPORTED' });
    // Neither of the two has too many.
    const [some, others] = ['a', 'b'].map((of) => Array.from({ length: 501 }, (_, at) => image(`${of}${at}`)));
    const many = [...some!, ...others!, indexOf(some!), indexOf(others!)];
    const top = indexOf(many.slice(-2));
    await expect(copy(top, storeOf(many).store)).rejects.toThrow('more than 1000');
  });
});

describe('layouts', () => {
  it('keep the images of all who write to them at once', async () => {
    const path = join(directory(), 'layout');
    const tags = Array.from({ length: 8 }, (_, at) => `v${at}`);
    await Promise.all(
      tags.map(async (tag) => {
        const layout = await makeLayout(path);
        await layout.putManifest(described(OCI.index, renderDocument({ schemaVersion: 2, manifests: [], tag })), tag);
      }),
    );
    expect(await (await openLayout(path)).tags()).toEqual(tags);
  });

  it('have a mark of their own size', async () => {
    expect(await isLayout(directory())).toBe(false);
    await writeFile(join(directory(), 'oci-layout'), '');
    expect(await isLayout(directory())).toBe(true);
    await truncate(join(directory(), 'oci-layout'), 2 ** 33);
    expect(await isLayout(directory())).toBe(false);
    await mkdir(join(directory(), 'other/oci-layout'), { recursive: true });
    expect(await isLayout(join(directory(), 'other'))).toBe(false);
  });

  it('have layers of one format', () => {
    expect(layerTypeIn('docker', `${OCI.layer}+gzip`)).toBe(`${DOCKER.layer}.gzip`);
    expect(layerTypeIn('docker', OCI.layer)).toBe(DOCKER.layer);
    expect(layerTypeIn('docker', `${OCI.layer}+zstd`)).toBeUndefined();
    expect(layerTypeIn('oci', `${DOCKER.layer}.gzip`)).toBe(`${OCI.layer}+gzip`);
    expect(layerTypeIn('oci', `${OCI.layer}+zstd`)).toBe(`${OCI.layer}+zstd`);
    expect(layerTypeIn('docker', 'application/x-other')).toBe('application/x-other');
  });
});
