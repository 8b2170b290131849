/** The job that makes a layer of an image: trees as one tar archive, which is compressed. Its module says what comes of it. */

/** How the archive is compressed. */
export type LayerCompression = 'gzip' | 'zstd' | 'none';

/** A tree, and where it is in the image. */
export interface LayerTree {
  /** Where it is on this machine. A link there is a link in the image. */
  readonly path: string;
  /** Absolute, with `/` between names; `/` for a directory whose entries are the image's. */
  readonly at: string;
  /** `store`: nobody can write to it, as in a Nix store. `plain`: its owner can. */
  readonly modes: 'store' | 'plain';
}

export interface LayerJob {
  readonly type: 'layer';
  /** In the order in which they are in the archive. */
  readonly trees: readonly LayerTree[];
  /** Whether directories above the trees are in the archive, too. */
  readonly parents: boolean;
  readonly compression: LayerCompression;
  readonly level: number;
  /** Where the archive is put; it must not exist. The caller removes what a failure leaves. */
  readonly file: string;
}

/** A layer. Digests are `sha256:` and hexadecimal digits, sizes are bytes. */
export interface Layer {
  readonly digest: string;
  readonly size: number;
  /** Those of the archive before it is compressed. */
  readonly diffId: string;
  readonly tarSize: number;
}
