/** A repository of a registry: images by their tags and digests. Source: OCI's distribution-spec 1.1. */

import * as v from 'valibot';
import { CarportError, formatError } from '../../errors.js';
import type { HttpClient } from '../../http/client.js';
import { followRedirects } from '../../http/redirect.js';
import type { HttpRequest, HttpResponse } from '../../http/transport.js';
import { checkedPieces } from '../checked-pieces.js';
import {
  checkBytes,
  type Descriptor,
  digestOf,
  isDigest,
  MANIFEST_LIMIT,
  manifestTypeOf,
  type RawManifest,
} from '../documents.js';
import { MANIFEST_TYPES } from '../media-types.js';
import type { RegistryReference } from '../reference.js';
import type { ImageStore } from '../store.js';
import { authorize } from './auth.js';
import type { Connection } from './connection.js';
import type { Login } from './login.js';
import { createReferrers, type Referrers, referrersUrl } from './referrers.js';
import { refused } from './refusal.js';
import { type Removal, removeManifest } from './remove.js';
import { resumeUploads } from './upload.js';
import { createWriter } from './writer.js';

export interface RepositoryOptions {
  readonly reference: RegistryReference;
  readonly http: HttpClient;
  /** Whether it is written to. */
  readonly writes: boolean;
  /** Whether something is removed of it. */
  readonly removes?: boolean;
  /** Repositories of the same registry that are read as well, to take blobs from. */
  readonly readsToo?: readonly string[];
  login(registry: string, repository: string): Promise<Login | undefined>;
}

const TAGS_LIMIT = 16 * 1024 * 1024;
const MOST_PAGES = 1000;

/** Some have `null` of a repository without tags. */
const tagList = v.object({ tags: v.nullish(v.array(v.string())) });

const NO_REGISTRY = 'a page of a proxy or of a login answers so: check the address of the registry';

/** A repository, of which more is known and can be done than of a layout. */
export interface Repository extends ImageStore, Referrers {
  /** Removes a tag, or the manifest of a digest with all of its tags. Throws `E_UNSUPPORTED` where the registry lets nobody do that. */
  remove(reference: string): Promise<Removal>;
}

export function openRepository(options: RepositoryOptions): Repository {
  const connection = connect(options);
  const { get, ...reader } = createReader(connection);
  const { putReferrer, ...writer } = createWriter(connection, reader.hasBlob);
  const what = `\`${connection.registry}/${connection.repository}\``;
  const api = {
    referrers: (digest: string, artifactType?: string) => get(referrersUrl(connection, digest, artifactType)),
    read: (response: HttpResponse) => readAll(response, MANIFEST_LIMIT, `the referrers in ${what}`),
  };
  return {
    ...{ description: describe(options), isRemote: true, ...reader, ...writer },
    ...createReferrers({ ...api, manifest: reader.manifest, putManifest: writer.putManifest, putReferrer, what }),
    remove: (reference) => removeManifest(connection, reference),
    async close() {
      options.http.close();
    },
  };
}

function describe({ reference: { registry, repository } }: RepositoryOptions): string {
  return `\`${registry}/${repository}\``;
}

function connect({ reference, http, writes, removes = false, readsToo = [], login }: RepositoryOptions): Connection {
  const { origin, registry, repository } = reference;
  const scopes = [
    `repository:${repository}:${removes ? 'pull,push,delete' : writes ? 'pull,push' : 'pull'}`,
    ...readsToo.filter((other) => other !== repository).map((other) => `repository:${other}:pull`),
  ];
  let hasLogin = false;
  const find = async () => {
    const found = await login(registry, repository);
    hasLogin = found !== undefined;
    return found;
  };
  const authorized = authorize({ origin, registry, scopes, login: find });
  return {
    ...{ origin, registry, repository },
    urlOf: (path) => new URL(`/v2/${repository}/${path}`, origin),
    send: http.transport((send) => resumeUploads(authorized(send))),
    fail(request, response) {
      response.discard();
      return refused(request, response, { registry, hasLogin });
    },
  };
}

/** Reads from anywhere; nothing where there is nothing. */
function getter({ send, fail }: Pick<Connection, 'send' | 'fail'>) {
  return async (url: URL, headers: HttpRequest['headers'] = {}, method: 'GET' | 'HEAD' = 'GET') => {
    const { asked, response } = await followRedirects({ method, url, headers }, send);
    if (response.status === 404) {
      response.discard();
      return undefined;
    }
    if (response.status !== 200 && response.status !== 206) throw fail(asked, response);
    return response;
  };
}

function createReader({ urlOf, send, fail, registry, repository, origin }: Connection) {
  const place = `${registry}/${repository}`;
  const get = getter({ send, fail });
  return {
    get,
    async manifest(reference = 'latest'): Promise<RawManifest | undefined> {
      const what = `\`${place}${isDigest(reference) ? '@' : ':'}${reference}\``;
      const response = await get(urlOf(`manifests/${reference}`), { accept: MANIFEST_TYPES.join(', ') });
      if (response === undefined) return undefined;
      const bytes = await readAll(response, MANIFEST_LIMIT, what);
      const digest = isDigest(reference)
        ? reference
        : (response.headers['docker-content-digest']?.toString() ?? digestOf(bytes));
      checkBytes(what, bytes, { mediaType: '', digest, size: bytes.length });
      const told = response.headers['content-type']?.split(';')[0]?.trim();
      return { descriptor: { mediaType: manifestTypeOf(what, bytes, told), digest, size: bytes.length }, bytes };
    },
    async blob(blob: Descriptor) {
      const url = urlOf(`blobs/${blob.digest}`);
      async function* open(): AsyncGenerator<Uint8Array> {
        const response = await get(url);
        if (response === undefined) {
          throw new CarportError('E_NOT_FOUND', `\`${place}\` does not have \`${blob.digest}\``, {
            hint: 'the image is not whole there: push it again',
          });
        }
        yield* checkedPieces(response.body, blob, place);
      }
      return { size: blob.size, open };
    },
    async hasBlob(blob: Descriptor): Promise<boolean> {
      const response = await get(urlOf(`blobs/${blob.digest}`), {}, 'HEAD');
      response?.discard();
      return response !== undefined;
    },
    async tags(): Promise<readonly string[]> {
      const tags = new Set<string>();
      let url: URL | undefined = urlOf('tags/list?n=1000');
      for (let page = 0; url !== undefined && page < MOST_PAGES; page++) {
        const response = await get(url);
        if (response === undefined) {
          throw new CarportError('E_NOT_FOUND', `there is no repository \`${place}\``, {
            hint: 'check its name; before the first push there is none',
          });
        }
        const what = `the tags of \`${place}\``;
        for (const tag of tagsIn(what, await readAll(response, TAGS_LIMIT, what))) tags.add(tag);
        url = nextOf(response, url, origin);
      }
      return [...tags].sort();
    },
  };
}

/** The next page of a list, on the same server (RFC 8288). */
function nextOf({ headers }: HttpResponse, asked: URL, origin: URL): URL | undefined {
  const link = /<([^>]*)>\s*;[^,]*rel="?next"?/i.exec(headers.link?.toString() ?? '')?.[1];
  const next = link !== undefined && URL.canParse(link, asked.href) ? new URL(link, asked) : undefined;
  return next?.origin === origin.origin && next.href !== asked.href ? next : undefined;
}

function tagsIn(what: string, bytes: Uint8Array): readonly string[] {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw formatError(what, 'is not JSON', { cause, hint: NO_REGISTRY });
  }
  const parsed = v.safeParse(tagList, json);
  if (!parsed.success || Array.isArray(json)) throw formatError(what, 'is no list of tags', { hint: NO_REGISTRY });
  return (parsed.output.tags ?? []).filter((tag) => /^[\w][\w.-]{0,127}$/.test(tag));
}

/** Of what is too large no more is read. */
async function readAll({ body }: HttpResponse, limit: number, what: string): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const bytes of body) {
    size += bytes.length;
    if (size > limit)
      throw new CarportError('E_REMOTE', `${what} is larger than ${limit} bytes`, { hint: 'no registry has such' });
    pieces.push(Buffer.from(bytes));
  }
  return Buffer.concat(pieces);
}
