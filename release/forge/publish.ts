/**
 * Publishes a release on a forge: a draft, its files, all of them read again, and only then for everybody. Done again, after
 * whatever end, it goes on where it was; two at a time come to the same.
 */

import { CarportError } from '../../lib/errors.js';
import type { Forge, ForgeRelease, ReleaseText } from '../../lib/forge/contract.js';
import type { ActivityEvent, Work } from '../../lib/work.js';
import type { ChannelRule } from '../version.js';
import { type Settled, settleAssets } from './assets.js';
import { isNewest } from './latest.js';
import { type AssetsPlan, type Difference, planAssets, tellDifference } from './plan.js';
import { countOnce } from './progress.js';
import { differenceOfText } from './text.js';
import { checkAssets, checkTag, type WantedAsset, type WantedRelease } from './wanted.js';

export interface ForgeRequest {
  readonly wanted: WantedRelease;
  readonly channelOf: ChannelRule;
  readonly dryRun: boolean;
  /** Ends before it is published. */
  readonly staysDraft: boolean;
  /** Changes also what is published. */
  readonly amends: boolean;
  /** Publishes also with files that are not of the release. */
  readonly keepsExtra: boolean;
}

export interface ForgeResult extends Settled {
  readonly state: 'published' | 'amended' | 'draft' | 'unchanged' | 'promoted' | 'planned';
  /** Nothing where it is only planned. */
  readonly release: ForgeRelease | undefined;
  /** What was said of that, where the forge is told. */
  readonly isLatest: boolean | undefined;
}

export async function publishOnForge(
  forge: Forge,
  request: ForgeRequest,
  { emit, signal }: Work<ActivityEvent>,
): Promise<ForgeResult> {
  const { wanted, dryRun } = request;
  checkAssets(wanted.assets, forge.traits);
  const hasTag = await checkTag(forge, wanted);
  const [there] = await forge.releasesOf(wanted.tag);
  const bytes = wanted.assets.reduce((sum, { size }) => sum + size, 0);
  // Sent, and read again.
  const total = 2 * bytes;
  emit({ type: 'started', verb: 'publish', unit: 'files', items: wanted.assets.length, bytes: total });
  const work = { emit: countOnce(total, emit), signal };
  if (dryRun) return plan(forge, there, request, work);
  if (there && !there.isDraft) return comparePublished(forge, there, request, work);
  const draft = await sayOf(forge, there ?? (await ownDraft(forge, wanted, hasTag)), wanted);
  const settled = await settleAssets(forge, draft, wanted.assets, settlingOf(forge, draft, request), work);
  if (request.staysDraft) return { ...settled, state: 'draft', release: draft, isLatest: undefined };
  refuseExtra(forge, settled, request);
  return publishDraft(forge, draft, settled, request, work);
}

/** A draft of this run, or the older one of another run that has made one at the same time. */
async function ownDraft(forge: Forge, wanted: WantedRelease, hasTag: boolean): Promise<ForgeRelease> {
  const { tag, title = tag, notes = wanted.usualNotes, isPrerelease, commit } = wanted;
  const text = { title, notes, isPrerelease, ...(!hasTag && commit !== undefined && { commit }) };
  const made = await forge.createDraft(tag, text);
  const [first] = await forge.releasesOf(tag);
  if (first === undefined || first.id === made.id || !first.isDraft) return made;
  if (made.isOwn) await forge.removeDraft(made);
  return first;
}

/** What was asked for is said of a draft that was there; the rest of it stays. */
async function sayOf(forge: Forge, draft: ForgeRelease, wanted: WantedRelease): Promise<ForgeRelease> {
  const text = textOf(draft, wanted);
  const isSaid = draft.title === text.title && draft.notes === text.notes && draft.isPrerelease === wanted.isPrerelease;
  if (isSaid) return draft;
  const edited = await forge.edit(draft, { ...text, isDraft: true });
  return { ...edited, uploads: edited.uploads ?? draft.uploads };
}

function textOf(draft: ForgeRelease, { tag, title, notes, isPrerelease }: WantedRelease) {
  return { title: title ?? (draft.title || tag), notes: notes ?? draft.notes, isPrerelease };
}

function settlingOf(forge: Forge, draft: ForgeRelease, { wanted }: ForgeRequest) {
  return {
    may: 'change' as const,
    readsAll: true,
    /**
     * Another run may have published it meanwhile: then nothing that everybody sees is changed. Or the forge itself has, which has
     * heard of its tag: then it is no draft any more, and is to be one again.
     */
    async guard({ send, differences }: AssetsPlan): Promise<'again' | undefined> {
      const [now] = await forge.releasesOf(wanted.tag);
      const isTidy = send.length === 0 && differences.every(({ fault }) => fault === 'twice' || fault === 'extra');
      if (!now || now.isDraft || isTidy) return undefined;
      if (now.id === draft.id && (await hasCome(forge, now, send))) return 'again';
      const isHalf = differences.every(({ fault }) => fault === 'missing' || fault === 'unfinished');
      if (!forge.traits.publishesDrafts || now.id !== draft.id || !isHalf)
        throw differs(forge, wanted.tag, differences);
      await forge.edit(now, { isDraft: true });
      return undefined;
    },
  };
}

/** Whether another run has sent what was missing, after this one has looked. */
async function hasCome(forge: Forge, release: ForgeRelease, send: readonly WantedAsset[]): Promise<boolean> {
  const found = await forge.assets(release);
  const names = new Set(found.filter(({ isWhole }) => isWhole).map(({ name, size }) => `${size} ${name}`));
  return send.every(({ name, size }) => names.has(`${size} ${forge.traits.storedName(name)}`));
}

async function publishDraft(
  forge: Forge,
  draft: ForgeRelease,
  settled: Settled,
  request: ForgeRequest,
  work: Work<ActivityEvent>,
): Promise<ForgeResult> {
  const { wanted, channelOf } = request;
  const hasTag = await checkTag(forge, wanted);
  const isLatest = await latestOf(forge, wanted, channelOf);
  const text: ReleaseText = {
    ...textOf(draft, wanted),
    isDraft: false,
    ...(forge.traits.isToldLatest && { isLatest }),
    ...(!hasTag && wanted.commit !== undefined && { commit: wanted.commit }),
  };
  const release = await forge.edit(draft, text);
  if (release.isDraft) {
    throw new CarportError('E_REMOTE', `\`${forge.address}\` leaves \`${wanted.tag}\` a draft`, {
      hint: 'check what the token may do, and run it again',
    });
  }
  await removeTwins(forge, release);
  if (!hasTag) await checkTag(forge, wanted);
  tellYoungest(forge, wanted, isLatest, work);
  const after = await settleAssets(forge, release, wanted.assets, { may: 'tidy', readsAll: false }, work);
  refuseExtra(forge, after, request);
  if (after.differences.some(({ fault }) => fault !== 'extra')) throw differs(forge, wanted.tag, after.differences);
  const removed = [...settled.removed, ...after.removed];
  return {
    ...settled,
    removed,
    state: 'published',
    release,
    isLatest: forge.traits.isToldLatest ? isLatest : undefined,
  };
}

/** Drafts of the same tag that other runs have made, where a forge allows that. */
async function removeTwins(forge: Forge, { id, tag }: ForgeRelease): Promise<void> {
  for (const other of await forge.ownDrafts(tag)) if (other.id !== id) await forge.removeDraft(other);
}

export async function latestOf(
  forge: Forge,
  { tag, isPrerelease, isLatest }: Pick<WantedRelease, 'tag' | 'isPrerelease' | 'isLatest'>,
  channelOf: ChannelRule,
): Promise<boolean> {
  if (isPrerelease) return false;
  return isLatest ?? isNewest(tag, (await forge.latest())?.tag, channelOf);
}

/** A forge that cannot be told shows the youngest. */
function tellYoungest(
  forge: Forge,
  { tag, isPrerelease }: WantedRelease,
  isLatest: boolean,
  { emit }: Work<ActivityEvent>,
) {
  if (forge.traits.isToldLatest || isPrerelease || isLatest) return;
  const message = `\`${forge.address}\` shows the youngest release as its latest, and so \`${tag}\`, which is not the newest stable one`;
  emit({ type: 'warning', about: { version: tag }, message });
}

/** Says what is different in a published release, or completes it where that is asked for. */
async function comparePublished(
  forge: Forge,
  release: ForgeRelease,
  { wanted, amends, keepsExtra }: ForgeRequest,
  work: Work<ActivityEvent>,
): Promise<ForgeResult> {
  const settling = { may: amends ? ('change' as const) : ('tidy' as const), readsAll: false };
  const settled = await settleAssets(forge, release, wanted.assets, settling, work);
  const open = settled.differences.filter(({ fault }) => fault !== 'extra' || !(keepsExtra || amends));
  const { text, told } = await differenceOfText(forge, release, wanted);
  if (open.length > 0 || (told.length > 0 && !amends)) throw differs(forge, wanted.tag, open, told);
  const said = amends && Object.keys(text).length > 0 ? await forge.edit(release, text) : release;
  const isChanged =
    said !== release || settled.removed.length > 0 || settled.assets.some(({ state }) => state !== 'kept');
  return { ...settled, state: isChanged ? 'amended' : 'unchanged', release: said, isLatest: undefined };
}

async function plan(
  forge: Forge,
  there: ForgeRelease | undefined,
  { wanted }: ForgeRequest,
  work: Work<ActivityEvent>,
): Promise<ForgeResult> {
  const base = { state: 'planned', release: there, isLatest: undefined } as const;
  if (there)
    return { ...(await settleAssets(forge, there, wanted.assets, { may: 'look', readsAll: false }, work)), ...base };
  const assets = wanted.assets.map(({ name, size, sha256 }) => ({
    name,
    size,
    sha256,
    state: 'missing' as const,
    storedName: name,
  }));
  const { differences } = planAssets(wanted.assets, [], new Map(), forge.traits);
  return { assets, removed: [], differences, ...base };
}

function refuseExtra({ address }: Forge, { differences }: Settled, { wanted, keepsExtra }: ForgeRequest): void {
  const extra = differences.filter(({ fault }) => fault === 'extra');
  if (keepsExtra || extra.length === 0) return;
  throw new CarportError(
    'E_INTEGRITY',
    `the draft of \`${wanted.tag}\` at \`${address}\` has files that are not of the release`,
    {
      cause: new Error(listed(extra)),
      hint: 'nothing was published; remove them there, or publish them, too, with `--keep-extra`',
    },
  );
}

/** The error of a published release that is not what it should be. */
export function differs(
  { address }: Forge,
  tag: string,
  differences: readonly Difference[],
  told: readonly string[] = [],
): CarportError {
  return new CarportError('E_INTEGRITY', `\`${tag}\` is published at \`${address}\`, and differs from the release`, {
    cause: new Error([...told, ...(differences.length > 0 ? [listed(differences)] : [])].join('; ')),
    hint: 'nothing of it was changed; `--amend` sends what is missing and replaces what differs (`--keep-extra` only leaves what is there beside it)',
  });
}

const LISTED = 20;

function listed(differences: readonly Difference[]): string {
  const more = differences.length - LISTED;
  return [...differences.slice(0, LISTED).map(tellDifference), ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
}
