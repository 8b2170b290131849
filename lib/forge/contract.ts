/** What forges have in common: releases of a repository, and the files that are attached to them. */

export const FORGES = ['github', 'gitea', 'forgejo'] as const;

/** Whose API a forge has; Forgejo's is Gitea's. */
export type ForgeKind = (typeof FORGES)[number];

/** A release of a forge. */
export interface ForgeRelease {
  readonly id: number;
  readonly tag: string;
  readonly title: string;
  /** Markdown, without what carport has put into the notes of a draft. */
  readonly notes: string;
  readonly isDraft: boolean;
  readonly isPrerelease: boolean;
  /** Its page, for people. */
  readonly page: string | undefined;
  /** A draft that carport has made: of two, the younger may go. */
  readonly isOwn: boolean;
  /** Where assets are sent, where the forge says so. */
  readonly uploads: string | undefined;
}

/** A file of a release. */
export interface ForgeAsset {
  readonly id: number;
  /** As the forge has it, which may have changed it. */
  readonly name: string;
  /** What people see in its place. */
  readonly label: string | undefined;
  /** Bytes. */
  readonly size: number;
  /** 64 hex digits, where the forge tells. */
  readonly sha256: string | undefined;
  /** False for one whose upload has broken off. */
  readonly isWhole: boolean;
  /** Where carport reads it. */
  readonly download: URL;
}

/** A file to attach. */
export interface AssetContent {
  readonly name: string;
  readonly size: number;
  /** From the beginning, each time. */
  open(): AsyncIterable<Uint8Array>;
}

/** What is said of a release. What is left out stays as it is. */
export interface ReleaseText {
  readonly title?: string;
  readonly notes?: string;
  readonly isPrerelease?: boolean;
  readonly isDraft?: boolean;
  /** Whether the forge is to show it as the latest. Only where it can be told. */
  readonly isLatest?: boolean;
  /** What its tag is made at when it is published, where there is no such tag. */
  readonly commit?: string;
}

/** How forges differ, where that matters to who uses them. */
export interface ForgeTraits {
  /** It attaches files without a byte. */
  readonly takesEmptyFiles: boolean;
  /** It can be told which release is the latest. Others show the youngest. */
  readonly isToldLatest: boolean;
  /** It publishes a draft by itself when its tag is pushed. */
  readonly publishesDrafts: boolean;
  /** What it makes of the name of a file. */
  storedName(name: string): string;
}

/** A repository of a forge. All throw `E_CREDENTIALS`, `E_NOT_FOUND`, `E_REMOTE` and `E_UNAVAILABLE`. */
export interface Forge {
  readonly kind: ForgeKind;
  /** The address of the repository, for people. */
  readonly address: string;
  readonly traits: ForgeTraits;
  /** Throws where there is no such repository, or not for this token. */
  check(): Promise<void>;
  /** The commit of a tag; `undefined` where there is no such tag, or no such repository. */
  commitOfTag(tag: string): Promise<string | undefined>;
  /** Whether the repository has a commit, of which a tag can be made. `commit` is all of its name, in hexadecimal digits. */
  hasCommit(commit: string): Promise<boolean>;
  /** All of a tag: the published one first, then drafts, the oldest first. */
  releasesOf(tag: string): Promise<readonly ForgeRelease[]>;
  /** Drafts of a tag that carport has made. None where a tag has one release at most. */
  ownDrafts(tag: string): Promise<readonly ForgeRelease[]>;
  /** The one that the forge shows as its latest. */
  latest(): Promise<ForgeRelease | undefined>;
  /** Makes a draft, or gives the one that somebody else has made meanwhile. */
  createDraft(tag: string, text: ReleaseText): Promise<ForgeRelease>;
  edit(release: ForgeRelease, text: ReleaseText): Promise<ForgeRelease>;
  /** Removes a draft; one that is not there is fine. */
  removeDraft(release: ForgeRelease): Promise<void>;
  assets(release: ForgeRelease): Promise<readonly ForgeAsset[]>;
  /** Attaches a file. The caller has seen that there is none of this name. */
  attach(release: ForgeRelease, content: AssetContent): Promise<ForgeAsset>;
  /** Removes one; one that is not there is fine. */
  detach(release: ForgeRelease, asset: ForgeAsset): Promise<void>;
  /** The bytes of one, also of a draft. */
  read(asset: ForgeAsset): Promise<AsyncIterable<Uint8Array>>;
  close(): void;
}
