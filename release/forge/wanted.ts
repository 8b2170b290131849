/** What a forge is to have of a release. */

import { createHash } from 'node:crypto';
import { CarportError } from '../../lib/errors.js';
import type { AssetContent, Forge, ForgeTraits } from '../../lib/forge/contract.js';

/** A file that the release is to have. */
export interface WantedAsset extends AssetContent {
  /** 64 hex digits. */
  readonly sha256: string;
}

/** The release as it is to be. */
export interface WantedRelease {
  readonly tag: string;
  /** The commit that it was built from, where that is known: its tag must be there. */
  readonly commit: string | undefined;
  /** Makes the tag at the commit where the forge has none. */
  readonly createsTag: boolean;
  /** What was asked for; else a draft keeps what it has, and a new one is called as its tag. */
  readonly title: string | undefined;
  /** What was asked for; else a draft keeps what it has, and a new one has the usual ones. */
  readonly notes: string | undefined;
  readonly usualNotes: string;
  readonly isPrerelease: boolean;
  /** Whether that was asked for: else a published release stays what it is. */
  readonly isPrereleaseSaid: boolean;
  /** Whether the forge shows it as the latest; with nothing, the newest stable one is. */
  readonly isLatest: boolean | undefined;
  readonly assets: readonly WantedAsset[];
}

/** GitHub takes so many, and Gitea as many as one likes. */
const MOST_ASSETS = 1000;

/** Throws `E_USAGE` for files that the forge would not take, or could not tell apart. */
export function checkAssets(assets: readonly WantedAsset[], traits: ForgeTraits): void {
  if (assets.length > MOST_ASSETS) {
    throw new CarportError('E_USAGE', `a release has at most ${MOST_ASSETS} files, and this has ${assets.length}`, {
      hint: 'put some of them into archives',
    });
  }
  const empty = traits.takesEmptyFiles ? undefined : assets.find(({ size }) => size === 0);
  if (empty) {
    throw new CarportError('E_USAGE', `\`${empty.name}\` has no bytes, and GitHub takes no such file`, {
      hint: 'leave it out',
    });
  }
  const byName = new Map<string, string>();
  for (const { name } of assets) {
    const stored = traits.storedName(name);
    const other = byName.get(stored);
    if (other !== undefined || stored === '') {
      const why = stored === '' ? 'has no character of a name' : `would have the name of \`${other}\`: \`${stored}\``;
      throw new CarportError('E_USAGE', `\`${name}\` ${why}`, { hint: 'give one of them another name' });
    }
    byName.set(stored, name);
  }
}

/**
 * The bytes of a file, which are what they should be: the last piece is held back until that is known, so that nothing else can
 * arrive whole. `place` is where they are from, for the `E_INTEGRITY`.
 */
export function checkedContent(
  { name, size, sha256 }: { readonly name: string; readonly size: number; readonly sha256: string },
  read: () => AsyncIterable<Uint8Array>,
  place: string,
): WantedAsset {
  const refuse = () =>
    new CarportError('E_INTEGRITY', `${place} is not what it was, or should be`, {
      hint: 'it has changed, or was damaged: nothing of it was published; run it again',
    });
  async function* open(): AsyncGenerator<Uint8Array> {
    const hasher = createHash('sha256');
    let seen = 0;
    let held: Uint8Array | undefined;
    for await (const piece of read()) {
      seen += piece.length;
      if (seen > size) throw refuse();
      hasher.update(piece);
      if (held) yield held;
      held = piece;
    }
    if (seen !== size || hasher.digest('hex') !== sha256) throw refuse();
    if (held) yield held;
  }
  return { name, size, sha256, open };
}

/** Throws where the forge has no such tag, and it is not to be made, or where it is at another commit. Tells whether it is there. */
export async function checkTag(forge: Forge, { tag, commit, createsTag }: WantedRelease): Promise<boolean> {
  const there = await forge.commitOfTag(tag);
  if (there === undefined) {
    await forge.check();
    if (!createsTag) {
      throw new CarportError('E_NOT_FOUND', `\`${forge.address}\` has no tag \`${tag}\``, {
        hint: `push it (\`git push origin ${tag}\`), or have it made at the commit of the release with \`--create-tag\``,
      });
    }
    if (commit !== undefined) {
      await checkCommit(forge, tag, commit);
      return false;
    }
    throw new CarportError('E_USAGE', `it is not known at which commit the tag \`${tag}\` is to be made`, {
      hint: 'say it with `--commit`',
    });
  }
  if (commit === undefined || commit === there) return true;
  throw new CarportError(
    'E_INTEGRITY',
    `\`${tag}\` is another commit at \`${forge.address}\` than the release was built from`,
    {
      cause: new Error(`the tag is at ${there}, the release is of ${commit}`),
      hint: 'somebody has moved the tag, or the files are of another build',
    },
  );
}

/** The tag is made when all files are there: that it cannot be is said before. */
async function checkCommit(forge: Forge, tag: string, commit: string): Promise<void> {
  if (await forge.hasCommit(commit)) return;
  throw new CarportError(
    'E_NOT_FOUND',
    `\`${forge.address}\` has no commit \`${commit}\` to make the tag \`${tag}\` at`,
    {
      hint: 'push it first (`git push origin HEAD`), or check `--commit`; a forge says the same of a repository that is not there, and to a token that may not read its commits',
    },
  );
}
