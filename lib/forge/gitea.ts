/** Gitea and Forgejo. Source: their API, version 1, and what Gitea 1.26 does. */

import * as v from 'valibot';
import { CarportError } from '../errors.js';
import type { Transport } from '../http/transport.js';
import { type ForgeConnection, NO_COMMIT } from './connection.js';
import type { AssetContent, Forge, ForgeAsset, ForgeRelease, ReleaseText } from './contract.js';
import { waitForTag } from './gitea-tags.js';
import { formOf } from './multipart.js';
import { patience } from './patience.js';
import type { ForgePlace } from './place.js';

const Release = v.object({
  id: v.number(),
  tag_name: v.string(),
  name: v.nullish(v.string()),
  body: v.nullish(v.string()),
  draft: v.boolean(),
  prerelease: v.boolean(),
  html_url: v.nullish(v.string()),
  target_commitish: v.nullish(v.string()),
});

const Asset = v.object({
  id: v.number(),
  name: v.string(),
  size: v.number(),
  uuid: v.pipe(v.string(), v.regex(/^[0-9a-fA-F-]{1,64}$/)),
});

const Tag = v.object({ commit: v.object({ sha: v.string() }) });

/** A commit without its files, which take long to find. */
const BRIEFLY = { stat: 'false', files: 'false', verification: 'false' };

/** Opens a repository. */
export function openGitea(place: ForgePlace, connection: ForgeConnection, close: () => void): Forge {
  const { urlOf, ask, tell, download } = connection;
  const byTag = async (tag: string, send?: Transport) =>
    ask({ url: urlOf(['releases', 'tags', tag]), nothing: [404], ...(send && { send }) }, Release);
  const assetsOf = async (id: number, send?: Transport) =>
    (await ask({ url: urlOf(['releases', id, 'assets']), ...(send && { send }) }, v.array(Asset)))!;
  return {
    kind: place.kind,
    address: place.address,
    traits: { takesEmptyFiles: true, isToldLatest: false, publishesDrafts: true, storedName: (name) => name },
    async check() {
      await tell({ url: urlOf([]) });
    },
    async commitOfTag(tag) {
      return (await ask({ url: urlOf(['tags', ...tag.split('/')]), nothing: [404] }, Tag))?.commit.sha;
    },
    hasCommit: (commit) => tell({ url: urlOf(['git', 'commits', commit], BRIEFLY), nothing: NO_COMMIT }),
    async releasesOf(tag) {
      const found = await byTag(tag);
      return found ? [releaseOf(found)] : [];
    },
    ownDrafts: async () => [],
    async latest() {
      const found = await ask({ url: urlOf(['releases', 'latest']), nothing: [404] }, Release);
      return found && releaseOf(found);
    },
    createDraft: (tag, text) => createDraft(connection, tag, text, byTag),
    async edit({ id }, text) {
      return releaseOf((await ask({ method: 'PATCH', url: urlOf(['releases', id]), json: fieldsOf(text) }, Release))!);
    },
    async removeDraft({ id }) {
      await tell({ method: 'DELETE', url: urlOf(['releases', id]), nothing: [404] });
    },
    async assets({ id }) {
      return (await assetsOf(id)).map((asset) => assetOf(asset, place));
    },
    async attach({ id }, content) {
      return assetOf(await attach(connection, id, content, (send) => assetsOf(id, send)), place);
    },
    async detach({ id }, asset) {
      await tell({ method: 'DELETE', url: urlOf(['releases', id, 'assets', asset.id]), nothing: [404] });
    },
    read: (asset) => download(asset.download),
    close,
  };
}

type Answer = v.InferOutput<typeof Release>;
type AssetAnswer = v.InferOutput<typeof Asset>;

/** How a draft of a tag is made, and found. */
type ByTag = (tag: string, send?: Transport) => Promise<Answer | undefined>;

async function createDraft(
  connection: ForgeConnection,
  tag: string,
  text: ReleaseText,
  byTag: ByTag,
): Promise<ForgeRelease> {
  const made = await postDraft(connection, tag, text, byTag);
  // Of a tag that it knows it takes no other target.
  const isUnknown = made.draft && text.commit === undefined && Boolean(made.target_commitish);
  if (!isUnknown) return releaseOf(made);
  await connection.tell({ method: 'DELETE', url: connection.urlOf(['releases', made.id]), nothing: [404] });
  await waitForTag(connection, tag);
  return releaseOf(await postDraft(connection, tag, text, byTag));
}

async function postDraft(
  { urlOf, ask, signal }: ForgeConnection,
  tag: string,
  text: ReleaseText,
  byTag: ByTag,
): Promise<Answer> {
  const json = { tag_name: tag, ...fieldsOf({ ...text, isDraft: true }) };
  const look = (send: Transport) => byTag(tag, send);
  const made = await patience(async (isLast) => {
    // A repository is said to be empty for a moment after its first push.
    const nothing = isLast ? [409] : [409, 422];
    return (
      (await ask({ method: 'POST', url: urlOf(['releases']), json, nothing, look }, Release)) ?? (await byTag(tag))
    );
  }, signal);
  if (made) return made;
  throw new CarportError('E_REMOTE', `the forge says that there is a release of \`${tag}\`, and does not show it`, {
    hint: 'check that the token may write to the repository, and run it again',
  });
}

async function attach(
  { urlOf, ask }: ForgeConnection,
  id: number,
  content: AssetContent,
  assets: (send: Transport) => Promise<readonly AssetAnswer[]>,
): Promise<AssetAnswer> {
  const { contentType, body } = formOf('attachment', content);
  const look = async (send: Transport) =>
    (await assets(send)).find(({ name, size }) => name === content.name && size === content.size);
  const url = urlOf(['releases', id, 'assets'], { name: content.name });
  return (await ask({ method: 'POST', url, headers: { 'content-type': contentType }, body, look }, Asset))!;
}

function fieldsOf({ title, notes, isPrerelease, isDraft, commit }: ReleaseText): object {
  return {
    ...(title !== undefined && { name: title }),
    ...(notes !== undefined && { body: notes }),
    ...(isPrerelease !== undefined && { prerelease: isPrerelease }),
    ...(isDraft !== undefined && { draft: isDraft }),
    ...(commit !== undefined && { target_commitish: commit }),
  };
}

function releaseOf({ id, tag_name, name, body, draft, prerelease, html_url }: Answer): ForgeRelease {
  return {
    ...{ id, tag: tag_name, title: name ?? '', notes: body ?? '', isDraft: draft, isPrerelease: prerelease },
    ...{ page: html_url ?? undefined, uploads: undefined, isOwn: false },
  };
}

/** The address that the API tells has the forge's own name for itself, and may lead elsewhere. */
function assetOf({ id, name, size, uuid }: AssetAnswer, { base }: ForgePlace): ForgeAsset {
  const download = new URL(`attachments/${uuid}`, base);
  return { id, name, label: undefined, size, sha256: undefined, isWhole: true, download };
}
