import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach } from 'vitest';
import { githubAssetName } from '#lib/forge/github-name.js';

/**
 * What carport uses of GitHub's REST API (version 2022-11-28, as a GitHub Enterprise Server has it: below `/api/v3` and
 * `/api/uploads`), on loopback. GitHub itself cannot run here: this is written by its documentation and by what its clients expect, with
 * the traits that matter. Drafts are in the list only, and there may be several of a tag; files get other names; one that has broken
 * off stays as `starter`, and is in the way; a second of a name is 422; contents are given out by another server, to which
 * GitHub redirects; without a user agent the answer is 403.
 */
export interface Github {
  /** `http://127.0.0.1:PORT/owner/tool`. */
  readonly address: string;
  readonly token: string;
  readonly env: Readonly<Record<string, string>>;
  readonly releases: GithubRelease[];
  /** Commits by tags; the tags are annotated. */
  readonly tags: Map<string, string>;
  /** The tag of what was said to be the latest. */
  latest(): string | undefined;
  /** `POST /repos/owner/tool/releases`, and so on. */
  readonly requests: string[];
  /** The other server, and what it was told of who asks. */
  readonly storage: string;
  readonly elsewhere: (string | undefined)[];
  /** Stands before the API. True where it has answered, or done away with the connection. */
  fault: (request: IncomingMessage, response: ServerResponse, done: () => Promise<unknown>) => Promise<boolean>;
  /** What is told with releases of where files are sent. */
  uploads: string;
}

export interface GithubRelease {
  readonly id: number;
  tag_name: string;
  name: string;
  body: string;
  draft: boolean;
  prerelease: boolean;
  readonly assets: GithubAsset[];
}

export interface GithubAsset {
  readonly id: number;
  readonly name: string;
  readonly label: string | null;
  state: 'uploaded' | 'starter';
  size: number;
  digest: string | null;
  content: Buffer;
}

export const COMMIT = 'c'.repeat(40);

/** Starts one for each test that asks for it, and stops it behind that. */
export function useGithub(): () => Promise<Github> {
  const servers: Server[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });
  const listen = async (answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> => {
    const server = createServer(answer);
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  return async () => {
    const token = `ghp_${randomBytes(18).toString('hex')}`;
    const state: { storage: string; latest: string | undefined } = { storage: '', latest: undefined };
    const github: Github = {
      ...{
        address: '',
        token,
        env: { GITHUB_TOKEN: token },
        releases: [],
        requests: [],
        elsewhere: [],
        uploads: '',
        storage: '',
      },
      ...{ tags: new Map([['v1.0.0', COMMIT]]), latest: () => state.latest, fault: async () => false },
    };
    state.storage = await listen((request, response) => {
      github.elsewhere.push(request.headers.authorization);
      const asset = github.releases.flatMap(({ assets }) => assets).find(({ id }) => `/${id}` === request.url);
      response.end(asset?.content);
    });
    const origin = await listen((request, response) => {
      const done = () => answer(github, state, request, response);
      void github.fault(request, response, done).then((isDone) => (isDone ? undefined : done()));
    });
    return Object.assign(github, {
      address: `${origin}/owner/tool`,
      uploads: `${origin}/api/uploads`,
      storage: state.storage,
    });
  };
}

interface State {
  readonly storage: string;
  latest: string | undefined;
}

async function answer(github: Github, state: State, request: IncomingMessage, response: ServerResponse): Promise<Done> {
  const url = new URL(request.url!, 'http://github');
  const path = url.pathname.replace(/^\/api\/(v3|uploads)\/repos\/owner\/tool/, '');
  github.requests.push(`${request.method} ${path}`);
  const reply: Reply = (status, json, headers = {}) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(json && JSON.stringify(json));
    return 'done';
  };
  const isKnown = request.headers.authorization === `Bearer ${github.token}`;
  if (!request.headers['user-agent']) return reply(403, { message: 'Request forbidden by administrative rules.' });
  if (request.headers.authorization && !isKnown) return reply(401, { message: 'Bad credentials' });
  const route = `${request.method} ${path}`;
  const [, id] = /^\/releases\/(?:assets\/)?(\d+)/.exec(path) ?? [];
  const release = github.releases.find((each) => each.id === Number(id));
  const told = (each: GithubRelease) => releaseJson(each, github);
  if (route === 'GET ') return reply(200, { full_name: 'owner/tool' });
  if (route.startsWith('GET /git/commits/'))
    return path.endsWith(`/${COMMIT}`) ? reply(200, { sha: COMMIT }) : reply(404, { message: 'Not Found' });
  if (route.startsWith('GET /git/')) return tags(github, path, reply);
  if (route === 'GET /releases/latest') {
    const latest = github.releases.find(({ tag_name, draft }) => tag_name === state.latest && !draft);
    return latest ? reply(200, told(latest)) : reply(404, { message: 'Not Found' });
  }
  if (route.startsWith('GET /releases/tags/')) {
    const tag = decodeURIComponent(path.slice('/releases/tags/'.length));
    const found = github.releases.find(({ tag_name, draft }) => tag_name === tag && !draft);
    return found ? reply(200, told(found)) : reply(404, { message: 'Not Found' });
  }
  if (route === 'GET /releases') {
    const seen = github.releases.filter(({ draft }) => isKnown || !draft).toReversed();
    return page(seen.map(told), url, reply);
  }
  if (!isKnown && request.method !== 'GET') return reply(404, { message: 'Not Found' });
  if (path.startsWith('/releases/assets/')) return oneAsset(github, state, Number(id), request, reply);
  if (route === 'POST /releases')
    return change(github, state, undefined, JSON.parse(String(await bytesOf(request))), reply);
  if (release === undefined) return reply(404, { message: 'Not Found' });
  if (route.endsWith('/assets')) {
    if (request.method === 'GET') return page(release.assets.map(assetJson), url, reply);
    return upload(release, url.searchParams, request, reply);
  }
  if (request.method === 'PATCH')
    return change(github, state, release, JSON.parse(String(await bytesOf(request))), reply);
  if (request.method !== 'DELETE') return reply(200, told(release));
  github.releases.splice(github.releases.indexOf(release), 1);
  return reply(204);
}

/** What those return that have answered, or let the connection be. */
type Done = 'done';
type Reply = (status: number, json?: object, headers?: Readonly<Record<string, string>>) => Done;

function tags({ tags }: Github, path: string, reply: Reply): Done {
  const [, tag] = /^\/git\/ref\/tags\/(.+)$/.exec(path) ?? [];
  const [, object] = /^\/git\/tags\/(.+)$/.exec(path) ?? [];
  const commit = tags.get(decodeURIComponent(tag ?? object ?? ''));
  if (commit === undefined) return reply(404, { message: 'Not Found' });
  const type = tag === undefined ? 'commit' : 'tag';
  return reply(200, { object: { type, sha: tag ?? commit } });
}

function page(items: readonly object[], url: URL, reply: Reply): Done {
  const size = Number(url.searchParams.get('per_page') ?? 30);
  const number = Number(url.searchParams.get('page') ?? 1);
  const hasMore = items.length > size * number;
  // The host is the one that GitHub takes for its own.
  const link = { link: `<https://api.github.example/?page=${number + 1}>; rel="next"` };
  return reply(200, items.slice(size * (number - 1), size * number), hasMore ? link : {});
}

function change(
  github: Github,
  state: State,
  before: GithubRelease | undefined,
  json: Record<string, unknown>,
  reply: Reply,
): Done {
  const { make_latest: latest, target_commitish: commit, ...fields } = json;
  const others = github.releases.filter((each) => each !== before && !each.draft);
  const release = before ?? {
    id: nextId(),
    tag_name: '',
    name: '',
    body: '',
    draft: false,
    prerelease: false,
    assets: [],
  };
  const after = { ...release, ...fields };
  if (!after.draft && others.some(({ tag_name }) => tag_name === after.tag_name)) {
    return reply(422, {
      message: 'Validation Failed',
      errors: [{ resource: 'Release', code: 'already_exists', field: 'tag_name' }],
    });
  }
  if (latest === 'true' && (after.prerelease || after.draft))
    return reply(422, { message: 'Latest release cannot be draft or prerelease' });
  Object.assign(release, fields);
  if (before === undefined) github.releases.push(release);
  if (!release.draft) {
    if (!github.tags.has(release.tag_name)) github.tags.set(release.tag_name, String(commit));
    if (latest === 'true') state.latest = release.tag_name;
  }
  return reply(before ? 200 : 201, releaseJson(release, github));
}

async function upload(
  release: GithubRelease,
  query: URLSearchParams,
  request: IncomingMessage,
  reply: Reply,
): Promise<Done> {
  const name = githubAssetName(query.get('name') ?? '');
  const size = Number(request.headers['content-length']);
  if (size === 0) return reply(422, { message: 'Validation Failed', errors: [{ field: 'size', code: 'custom' }] });
  if (release.assets.some((asset) => asset.name === name)) {
    request.resume();
    return reply(422, {
      message: 'Validation Failed',
      errors: [{ resource: 'ReleaseAsset', code: 'already_exists', field: 'name' }],
    });
  }
  const asset: GithubAsset = {
    id: nextId(),
    name,
    label: query.get('label'),
    state: 'starter',
    size: 0,
    digest: null,
    content: Buffer.alloc(0),
  };
  release.assets.push(asset);
  const content = await bytesOf(request).catch(() => undefined);
  if (content === undefined || content.length !== size) return 'done';
  const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`;
  Object.assign(asset, { state: 'uploaded', size, digest, content });
  return reply(201, assetJson(asset));
}

function oneAsset(
  { releases }: Github,
  { storage }: State,
  id: number,
  { method, headers }: IncomingMessage,
  reply: Reply,
): Done {
  const release = releases.find(({ assets }) => assets.some((asset) => asset.id === id));
  const index = release?.assets.findIndex((asset) => asset.id === id) ?? -1;
  if (!release || index < 0) return reply(404, { message: 'Not Found' });
  if (method === 'DELETE') {
    release.assets.splice(index, 1);
    return reply(204);
  }
  if (headers.accept !== 'application/octet-stream') return reply(200, assetJson(release.assets[index]!));
  return reply(302, undefined, { location: `${storage}/${id}` });
}

function releaseJson({ id, assets, ...release }: GithubRelease, { uploads }: Github): object {
  const upload_url = `${uploads}/repos/owner/tool/releases/${id}/assets{?name,label}`;
  return {
    id,
    ...release,
    upload_url,
    html_url: `https://github.example/owner/tool/releases/${id}`,
    assets: assets.map(assetJson),
  };
}

function assetJson({ content: _, ...asset }: GithubAsset): object {
  return asset;
}

let ids = 100;
const nextId = () => ids++;

export async function bytesOf(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}
