/** What can be asked of a worker, and what comes back. */

import type { ToldChunks } from '../compression/chunks/field.js';
import type { WritableCompression } from '../compression/compressor.js';
import type { SmallPromise } from '../compression/small-nar.js';
import type { ExpectedNar } from '../compression/verified-nar.js';
import type { Hash } from '../nix/hash.js';
import type { UnknownField } from '../nix/narinfo.js';
import type { SigningKey } from '../signing/signature.js';
import type { ChunkLine } from './chunk-line.js';
import type { KeptSource } from './files/kept-source.js';
import type { Assembly, IndexChunksJob, LocalChunks, LocalTrees } from './jobs/delta/assembly.js';
import type { Layer, LayerJob } from './layers/layer.js';

/** What identifies a path's content. */
export interface NarDigest {
  readonly narHash: Hash;
  readonly narSize: number;
}

/** Reads a path and makes the object that a cache keeps of it. */
export interface PackJob {
  readonly type: 'pack';
  readonly path: string;
  readonly compression: WritableCompression;
  readonly level: number;
  readonly listing: boolean;
  /** The path's `hashPartList`. */
  readonly hashParts: readonly string[];
  /** Where an object of more than `INLINE_LIMIT` bytes is put; it must not exist. The caller removes it. */
  readonly spoolPath: string;
  /** Where the object gets its name by a rename, if what was read is this very NAR; else nothing is written there. */
  readonly place?: { readonly directory: string; readonly ending: string; readonly nar: NarDigest };
  /** Where other threads may help: given by the pool. */
  readonly line?: ChunkLine;
}

/** NARs of paths that `pack-small` takes, at most. */
export const SMALL_PATH = 256 * 1024;

/** Packs small paths, one after another, and puts them into a cache in a directory, if it is one. */
export interface PackSmallJob {
  readonly type: 'pack-small';
  /** `SmallPath[]` as JSON: between threads that is cheaper than objects are. */
  readonly paths: string;
  readonly compression: 'zstd' | 'none';
  readonly level: number;
  /** What the names of NARs end in, and what their URLs begin with. */
  readonly ending: string;
  readonly narKey: string;
  /** The directory where NARs lie, and a name for files on their way, which nobody else uses; else the caller is given the NARs. */
  readonly place?: { readonly directory: string; readonly temporary: string } | undefined;
  /** Each signs each path. */
  readonly keys: readonly SigningKey[];
  /** Until when narinfos may be written, by `process.hrtime` and by the time of day. */
  readonly until?: { readonly monotonic: bigint; readonly wall: number } | undefined;
}

/** A path, and what its narinfo says. */
export interface SmallPath {
  readonly storePath: string;
  readonly realPath: string;
  /** The sha256 in hexadecimal digits. */
  readonly narHash: string;
  readonly narSize: number;
  /** In order. */
  readonly references: readonly string[];
  readonly deriver?: string | undefined;
  readonly ca?: string | undefined;
  /** Those of others. */
  readonly signatures: readonly string[];
  /** Where its narinfo is written, if it may be seen when the paths before it can. */
  readonly narInfo?: string | undefined;
  /** What its narinfo says beside what is found here; then the text is given in any case. */
  readonly field?: UnknownField | undefined;
}

/**
 * `visible`: all is written; the text of the narinfo is given where somebody waits for it. `packed`: the NAR is, or it is given, and
 * the text of the narinfo is given. `refused`: something is not as it should be, or failed; a NAR may have been written.
 */
export type SmallPathResult =
  | { readonly state: 'visible'; readonly fileSize: number; readonly narInfo?: string }
  | {
      readonly state: 'packed';
      readonly fileSize: number;
      readonly narInfo: string;
      /** The compressed NAR, and its key. */
      readonly nar?: { readonly key: string; readonly bytes: Uint8Array };
    }
  | { readonly state: 'refused' };

/** Helps the thread that packs or unpacks a large path. */
export interface AssistJob {
  readonly type: 'assist';
  readonly line: ChunkLine;
  /** The level to compress at; without one, frames are decompressed. */
  readonly level?: number | undefined;
  /** The line is of parts of these. */
  readonly local?: LocalTrees | undefined;
  /** How often helpers had been called back before this one came. */
  readonly recalls: number;
}

export interface PackResult extends NarDigest, SpooledFile {
  /** The `.ls`, if it was asked for and all names are UTF-8. */
  readonly listing?: string;
  /** Whether it is in its place. */
  readonly isPlaced?: boolean;
  /** What there is to tell of its chunks. */
  readonly chunks?: ToldChunks;
}

/** Objects up to this size stay in memory. */
export const INLINE_LIMIT = 512 * 1024;

/** Makes a tree of a compressed NAR, and compares it with what was promised. */
export interface UnpackJob {
  readonly type: 'unpack';
  /** Must not exist, in a directory that only this process writes to. The caller removes what a failure leaves. */
  readonly destination: string;
  readonly promise: ExpectedNar;
  /** The compressed NAR, when it is a file of this machine; otherwise the caller streams it in. */
  readonly file?: string;
  /** In place of a compressed NAR: then the promise is one of a plain NAR. */
  readonly assembly?: Assembly;
  /** Where what comes from the source is kept, too. */
  readonly kept?: KeptSource;
  /** Memory that is shared with threads that help: the pool gives it. */
  readonly line?: ChunkLine;
}

/** Makes trees of small NARs, one after another, and gives them their names where it is told to. */
export interface UnpackSmallJob {
  readonly type: 'unpack-small';
  /** `SmallNar[]` as JSON: between threads that is cheaper than objects are. */
  readonly nars: string;
  /** The bytes of NARs that are no files of this machine, one after another. */
  readonly bytes?: Uint8Array;
}

/** A small NAR, and what becomes of it. */
export interface SmallNar {
  readonly promise: SmallPromise;
  /** As in `UnpackJob`. */
  readonly destination: string;
  /** The file of this machine; else its bytes are among those of the job. */
  readonly file?: string;
  readonly placement?: Placement;
}

/** How a tree gets its name: a file claims it, the tree is renamed, and then that file. */
export type Placement = {
  readonly path: string;
  readonly claim: string;
  /** What the claim becomes. Where that is there already nothing is done. */
  readonly metadata: string;
} & (
  | { readonly content: string; readonly written?: undefined }
  /** The file that becomes the claim by a rename. */
  | { readonly written: string }
);

/**
 * `placed`: it has its name. `moved`: the tree has, but its claim has not become its metadata. `unpacked`: the tree is at its
 * destination, and nothing claims it. `refused`: something is not as promised, or failed; something may be at the destination.
 */
export type SmallNarState = 'placed' | 'moved' | 'unpacked' | 'refused';

/** Gives trees their names, one after another. */
export interface PlaceJob {
  readonly type: 'place';
  /** `UnplacedTree[]` as JSON. */
  readonly trees: string;
}

/** A tree that is whole. */
export interface UnplacedTree {
  readonly tree: string;
  readonly placement: Placement;
}

/** Takes paths from a cache in a directory into an own store, as far as they are small and as they should be. */
export interface TakeJob {
  readonly type: 'take';
  /** `Ticket[]` as JSON. */
  readonly tickets: string;
  /** The directory of the cache. */
  readonly cache: string;
  readonly storeDirs: StoreDirs;
  /** Whose signatures are accepted, as `renderPublicKey` gives them. */
  readonly keys: readonly string[];
  readonly allowUnsigned: boolean;
}

export interface TakeResult {
  /** `TakenPath[]` as JSON. */
  readonly paths: string;
}

/** A path that is wanted, and a temporary name for it. */
export interface Ticket {
  readonly baseName: string;
  readonly temporary: string;
}

/** Directories of an own store; the last three are real ones. */
export interface StoreDirs {
  readonly storeDir: string;
  readonly realStoreDir: string;
  readonly infoDir: string;
  readonly claimsDir: string;
}

/**
 * What became of a path: as of a small NAR, or `found`: what the cache says of it is accepted, and its NAR is not for this job;
 * `failed`: that is not as promised, and something may be at its temporary name; `refused`: something else, and nothing was made.
 */
export interface TakenPath {
  readonly state: SmallNarState | 'found' | 'failed';
  /** The narinfo, which is accepted. */
  readonly text?: string;
  /** What will be its metadata is written. */
  readonly isWritten?: boolean;
}

/** Makes a plain NAR, in a file, of a compressed one, and compares it with what was promised. */
export interface SaveJob extends Omit<UnpackJob, 'type'> {
  readonly type: 'save';
}

/** Reads a compressed NAR, and compares it with what was promised. */
export interface CheckJob extends Omit<UnpackJob, 'type' | 'destination'> {
  readonly type: 'check';
  /** Whether its listing is made on the way. */
  readonly listing?: boolean;
}

/** Gives the plain NAR of a compressed one back in pieces, the last of them when all of it was what was promised. */
export interface PlainJob extends Omit<UnpackJob, 'type' | 'destination' | 'line'> {
  readonly type: 'plain';
  /** Bytes that the caller has already: they are not given again. Where the NAR begins with others, that is `E_INTEGRITY`. */
  readonly after?: NarProgress;
}

/** How far a NAR has come: its first bytes, and their sha256. */
export interface NarProgress {
  readonly size: number;
  readonly digest: Uint8Array;
}

/** A piece of a NAR, and how far it has come with it. */
export interface NarPiece {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly after: NarProgress;
}

/** Takes a compressed NAR as it is, and compares it with what was promised. */
export interface FetchJob extends Omit<CheckJob, 'type' | 'listing'> {
  readonly type: 'fetch';
  /** As in `PackJob`. */
  readonly spoolPath: string;
}

/** A file that a job has made or taken. */
export interface SpooledFile {
  readonly fileHash: Hash;
  readonly fileSize: number;
  /** The file itself when it is small; otherwise it is at the job's `spoolPath`. */
  readonly bytes?: Uint8Array;
}

export interface UnpackResult {
  /** Bytes of the compressed NAR. */
  readonly fileSize: number;
}

export interface CheckResult extends UnpackResult {
  /** The `.ls`, if it was asked for. */
  readonly listing?: string;
}

/** Makes a tree of a plain NAR that the caller streams in, and of which nothing is known yet. */
export interface UnpackUnknownJob {
  readonly type: 'unpack-unknown';
  /** As in `UnpackJob`. */
  readonly destination: string;
}

export interface UnpackUnknownResult extends NarDigest {
  /** When the tree is a plain file that is not executable: the sha256 of its bytes, which may be what it is named after. */
  readonly flatHash?: Hash;
}

/** Hashes a path's NAR. */
export interface HashJob {
  readonly type: 'hash';
  readonly path: string;
}

/** Hashes a path and looks for references in it. */
export interface ScanJob {
  readonly type: 'scan';
  readonly path: string;
  /** Hash parts to look for. */
  readonly candidates: readonly string[];
  /** Whole paths in this directory are noted, whether they are candidates or not. */
  readonly storeDir: string;
  /** The path's own hash part, as its content has it. */
  readonly selfHashPart?: string;
}

export interface ScanResult extends NarDigest {
  /** Candidates that were seen. */
  readonly found: readonly string[];
  /** Hash parts of all paths that were seen. */
  readonly mentions: readonly string[];
  /** With a `selfHashPart`: whether it was seen, and the hash without it. */
  readonly self?: { readonly seen: boolean; readonly hash: Hash };
}

/** Copies a tree, replacing its own hash part if asked. */
export interface CopyJob {
  readonly type: 'copy';
  readonly path: string;
  /** As in `UnpackJob`. */
  readonly destination: string;
  readonly rewrite?: { readonly from: string; readonly to: string };
}

export type Job =
  | PackJob
  | PackSmallJob
  | UnpackJob
  | UnpackSmallJob
  | PlaceJob
  | TakeJob
  | SaveJob
  | CheckJob
  | PlainJob
  | FetchJob
  | UnpackUnknownJob
  | IndexChunksJob
  | HashJob
  | ScanJob
  | CopyJob
  | LayerJob
  | AssistJob;

export interface JobResults {
  readonly pack: PackResult;
  readonly 'pack-small': readonly SmallPathResult[];
  readonly unpack: UnpackResult;
  readonly 'unpack-small': readonly SmallNarState[];
  readonly place: readonly SmallNarState[];
  readonly take: TakeResult;
  readonly save: UnpackResult;
  readonly check: CheckResult;
  readonly plain: UnpackResult;
  readonly fetch: SpooledFile;
  readonly 'unpack-unknown': UnpackUnknownResult;
  readonly 'index-chunks': LocalChunks;
  readonly hash: NarDigest;
  readonly scan: ScanResult;
  readonly copy: NarDigest;
  readonly layer: Layer;
  readonly assist: undefined;
}

/** What a job is given beside its description. */
export interface JobContext {
  /** The bytes that the caller streams in (`unpack`, `save`, `check`, `plain`, `fetch`, `unpack-unknown`); a piece is valid until the next. */
  readonly source: AsyncIterable<Uint8Array>;
  /** Reports bytes of NAR that were worked through since the last report. */
  progress(bytes: number): void;
  /** Gives the caller bytes, which are alone in their memory and gone from here then; waits until it may have more (`plain`). */
  output(piece: NarPiece): Promise<void>;
}
