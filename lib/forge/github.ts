/** GitHub, also on machines of others. Source: its REST API, version 2022-11-28: "Releases", "Release assets", "Git database". */

import * as v from 'valibot';
import { CarportError } from '../errors.js';
import type { Transport } from '../http/transport.js';
import { type ForgeConnection, NO_COMMIT } from './connection.js';
import type { AssetContent, Forge, ForgeAsset, ForgeRelease, ReleaseText } from './contract.js';
import { githubAssetName } from './github-name.js';
import type { ForgePlace } from './place.js';

/** What is said with each request; without a user agent GitHub answers 403. */
export const GITHUB_HEADERS = {
  accept: 'application/vnd.github+json',
  'user-agent': 'carport',
  'x-github-api-version': '2022-11-28',
};

/** In the notes of a draft: it is carport's. Of two drafts of a tag, which GitHub allows, the younger may be removed. */
const MARK = '<!-- carport: this draft is being made -->';

const Release = v.object({
  id: v.number(),
  tag_name: v.string(),
  name: v.nullish(v.string()),
  body: v.nullish(v.string()),
  draft: v.boolean(),
  prerelease: v.boolean(),
  html_url: v.nullish(v.string()),
  upload_url: v.nullish(v.string()),
});

const Asset = v.object({
  id: v.number(),
  name: v.string(),
  label: v.nullish(v.string()),
  size: v.number(),
  state: v.nullish(v.string()),
  digest: v.nullish(v.string()),
});

const GitObject = v.object({ object: v.object({ type: v.string(), sha: v.string() }) });

/** Releases have hundreds of assets each: no page is longer than what is read. */
const RELEASES = '30';
const ASSETS = '100';

/** Tags of tags. */
const MOST_TAGS = 5;

type Answer = v.InferOutput<typeof Release>;
type AssetAnswer = v.InferOutput<typeof Asset>;

/** Opens a repository. */
export function openGithub(place: ForgePlace, connection: ForgeConnection, close: () => void): Forge {
  const { urlOf, ask, tell, download } = connection;
  const toAsset = (asset: AssetAnswer) => assetOf(asset, connection);
  return {
    kind: place.kind,
    address: place.address,
    traits: { takesEmptyFiles: false, isToldLatest: true, publishesDrafts: false, storedName: githubAssetName },
    async check() {
      await tell({ url: urlOf([]) });
    },
    commitOfTag: (tag) => commitOfTag(connection, tag),
    hasCommit: (commit) => tell({ url: urlOf(['git', 'commits', commit]), nothing: NO_COMMIT }),
    async releasesOf(tag) {
      const published = await ask({ url: urlOf(['releases', 'tags', tag]), nothing: [404] }, Release);
      if (published && !published.draft) return [releaseOf(published)];
      return (await draftsOf(connection, tag)).map(releaseOf);
    },
    async ownDrafts(tag) {
      return (await draftsOf(connection, tag)).map(releaseOf).filter(({ isOwn }) => isOwn);
    },
    async latest() {
      const found = await ask({ url: urlOf(['releases', 'latest']), nothing: [404] }, Release);
      return found && releaseOf(found);
    },
    async createDraft(tag, text) {
      const json = { tag_name: tag, ...fieldsOf({ notes: '', ...text, isDraft: true }, true) };
      const look = async (send: Transport) =>
        (await draftsOf(connection, tag, send)).find((each) => releaseOf(each).isOwn);
      return releaseOf((await ask({ method: 'POST', url: urlOf(['releases']), json, look }, Release))!);
    },
    async edit({ id, isOwn }, text) {
      return releaseOf(
        (await ask({ method: 'PATCH', url: urlOf(['releases', id]), json: fieldsOf(text, isOwn) }, Release))!,
      );
    },
    async removeDraft({ id }) {
      await tell({ method: 'DELETE', url: urlOf(['releases', id]), nothing: [404] });
    },
    async assets(release) {
      return (await assetsOf(connection, release)).map(toAsset);
    },
    async attach(release, content) {
      return toAsset(await attach(connection, place, release, content));
    },
    async detach(_, asset) {
      await tell({ method: 'DELETE', url: urlOf(['releases', 'assets', asset.id]), nothing: [404] });
    },
    read: (asset) => download(asset.download),
    close,
  };
}

/** A tag that is annotated has an object of its own. */
async function commitOfTag({ urlOf, ask }: ForgeConnection, tag: string): Promise<string | undefined> {
  let found = await ask({ url: urlOf(['git', 'ref', 'tags', ...tag.split('/')]), nothing: [404] }, GitObject);
  for (let depth = 0; found?.object.type === 'tag' && depth < MOST_TAGS; depth++) {
    found = await ask({ url: urlOf(['git', 'tags', found.object.sha]), nothing: [404] }, GitObject);
  }
  return found?.object.sha;
}

/** Only the list has drafts. The oldest first. */
async function draftsOf({ pages, urlOf }: ForgeConnection, tag: string, send?: Transport): Promise<readonly Answer[]> {
  const found: Answer[] = [];
  for await (const page of pages(urlOf(['releases'], { per_page: RELEASES }), Release, send)) {
    found.push(...page.filter((release) => release.tag_name === tag));
  }
  return found.sort((a, b) => Number(a.draft) - Number(b.draft) || a.id - b.id);
}

async function assetsOf(
  { pages, urlOf }: ForgeConnection,
  { id }: ForgeRelease,
  send?: Transport,
): Promise<readonly AssetAnswer[]> {
  const found: AssetAnswer[] = [];
  const url = urlOf(['releases', id, 'assets'], { per_page: ASSETS });
  for await (const page of pages(url, Asset, send)) found.push(...page);
  return found;
}

async function attach(
  connection: ForgeConnection,
  place: ForgePlace,
  release: ForgeRelease,
  { name, size, open }: AssetContent,
): Promise<AssetAnswer> {
  const { ask, urlOf } = connection;
  const stored = githubAssetName(name);
  const look = async (send: Transport) => {
    const there = (await assetsOf(connection, release, send)).find(
      (asset) => asset.name === stored || asset.label === name,
    );
    if (there === undefined || (isWhole(there) && there.size === size)) return there;
    // What has broken off stays, and is in the way.
    const url = urlOf(['releases', 'assets', there.id]);
    await ask({ method: 'DELETE', url, nothing: [204, 404], send }, v.any()).catch(() => undefined);
    return undefined;
  };
  const url = uploadUrl(release, place);
  url.search = String(new URLSearchParams({ name, ...(stored !== name && { label: name }) }));
  const headers = { 'content-type': 'application/octet-stream' };
  const request = { method: 'POST', url, headers, body: { size, open }, look } as const;
  const sent = await ask({ ...request, nothing: [422] }, Asset);
  // Somebody else has sent one of this name meanwhile: it is looked at by who wanted this.
  const other = sent ?? (await assetsOf(connection, release)).find((asset) => asset.name === stored);
  return other ?? (await ask(request, Asset))!;
}

/** Where files are sent: a template that GitHub tells with the release, and that leads to GitHub. */
function uploadUrl({ uploads }: ForgeRelease, { trusted, address }: ForgePlace): URL {
  const text = (uploads ?? '').replace(/\{[^}]*\}$/, '');
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && trusted.includes(url.origin)) return url;
  throw new CarportError(
    'E_REMOTE',
    `\`${address}\` wants files to be sent to \`${(url?.origin ?? text).slice(0, 200)}\`, which is not the forge`,
    {
      hint: 'check the address of the forge; nothing was sent there',
    },
  );
}

function isWhole({ state }: AssetAnswer): boolean {
  return state === undefined || state === null || state === 'uploaded';
}

function fieldsOf({ title, notes, isPrerelease, isDraft, isLatest, commit }: ReleaseText, isOwn: boolean): object {
  const isMarked = isOwn && isDraft;
  const body = notes !== undefined && isMarked ? `${notes}${notes === '' ? '' : '\n\n'}${MARK}` : notes;
  return {
    ...(title !== undefined && { name: title }),
    ...(body !== undefined && { body }),
    ...(isPrerelease !== undefined && { prerelease: isPrerelease }),
    ...(isDraft !== undefined && { draft: isDraft }),
    ...(isLatest !== undefined && { make_latest: String(isLatest) }),
    ...(commit !== undefined && { target_commitish: commit }),
  };
}

function releaseOf(answer: Answer): ForgeRelease {
  const { id, tag_name, name, body, draft, prerelease, html_url, upload_url } = answer;
  const notes = (body ?? '').replace(MARK, '').trimEnd();
  return {
    ...{ id, tag: tag_name, title: name ?? '', notes, isDraft: draft, isPrerelease: prerelease },
    ...{ page: html_url ?? undefined, uploads: upload_url ?? undefined, isOwn: draft && (body ?? '').includes(MARK) },
  };
}

function assetOf(answer: AssetAnswer, { urlOf }: ForgeConnection): ForgeAsset {
  const { id, name, label, size, digest } = answer;
  const sha256 = /^sha256:([0-9a-f]{64})$/.exec(digest ?? '')?.[1];
  const download = urlOf(['releases', 'assets', id]);
  return { id, name, label: label || undefined, size, sha256, isWhole: isWhole(answer), download };
}
