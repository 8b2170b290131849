/** Images in a directory, as OCI's layout has them: `oci-layout`, `index.json`, and `blobs`. Source: image-spec 1.1, image-layout.md. */

import { readdir, readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CarportError, formatError, isErrno } from '../errors.js';
import { writeAtomically, writeBytesAtomically, writeStream } from '../filesystem/atomic-write.js';
import { makeDirectory } from '../filesystem/make-directory.js';
import { createTemporaryNames } from '../filesystem/temporary.js';
import { restartable } from '../http/body.js';
import type { RequestBody } from '../http/transport.js';
import { checkedPieces } from './checked-pieces.js';
import {
  checkBytes,
  type Descriptor,
  type ImageIndex,
  isDigest,
  MANIFEST_LIMIT,
  manifestTypeOf,
  parseIndex,
  renderDocument,
} from './documents.js';
import { OCI } from './media-types.js';
import { isSamePlatform } from './platform.js';
import type { ImageStore } from './store.js';
import { takingTurns } from './turns.js';

/** The annotation that has the tag of an image in a layout. */
const REF_NAME = 'org.opencontainers.image.ref.name';

const MARK = '{"imageLayoutVersion":"1.0.0"}';

/** Bytes of `oci-layout`; more is no layout's. */
export const MARK_LIMIT = 4096;

/** What a directory that a killed run has left may hold. */
const OWN = /^(blobs|oci-layout|index\.json|\.carport-.*)$/;

/** A layout, which may be written to. */
export interface Layout extends ImageStore {
  readonly directory: string;
  /** A name for a file that `takeBlob` is given then. */
  temporary(): string;
  /** Makes a file the blob of a digest, which the caller has computed. */
  takeBlob(descriptor: Pick<Descriptor, 'digest' | 'size'>, file: string): Promise<void>;
  /** What `index.json` says. */
  index(): Promise<ImageIndex>;
}

/** Whether there is a layout in a directory. */
export async function isLayout(directory: string): Promise<boolean> {
  const stats = await stat(join(directory, 'oci-layout')).catch(() => undefined);
  return stats?.isFile() === true && stats.size <= MARK_LIMIT;
}

/** Opens a layout to read. Throws `E_NOT_FOUND` where there is none. */
export async function openLayout(directory: string): Promise<Layout> {
  if (!(await isLayout(directory))) {
    throw new CarportError('E_NOT_FOUND', `there is no image in \`${directory}\``, {
      hint: 'it would have a file `oci-layout`: `carport image build … --out DIR` makes one',
    });
  }
  return layoutIn(directory);
}

/** Opens a layout to write into, which is made where nothing is. Throws `E_USAGE` where something else is. */
export async function makeLayout(directory: string): Promise<Layout> {
  const names = await readdir(directory).catch((error) => {
    if (isErrno(error, 'ENOENT')) return [] as string[];
    if (!isErrno(error, 'ENOTDIR')) throw error;
    throw new CarportError('E_USAGE', `\`${directory}\` is a file`, {
      hint: 'name a directory, or a file that ends in `.tar`',
    });
  });
  const other = names.find((name) => !OWN.test(name));
  if (other !== undefined && !names.includes('oci-layout')) {
    throw new CarportError('E_USAGE', `\`${directory}\` is no image, and not empty: it has \`${other}\``, {
      hint: 'name a directory that is not there yet',
    });
  }
  await makeDirectory(join(directory, 'blobs', 'sha256'));
  await writeBytesAtomically(join(directory, 'oci-layout'), MARK);
  return layoutIn(directory);
}

async function layoutIn(directory: string): Promise<Layout> {
  const blobs = join(directory, 'blobs', 'sha256');
  const temporary = await createTemporaryNames(blobs);
  const index = () => readIndex(join(directory, 'index.json'), directory);
  const fileOf = ({ digest }: Pick<Descriptor, 'digest'>) => join(blobs, digest.slice('sha256:'.length));
  const sizeOf = async (blob: Pick<Descriptor, 'digest'>) => (await stat(fileOf(blob)).catch(() => undefined))?.size;
  /** A manifest that only an index of the layout names. */
  const unlisted = async (digest = ''): Promise<Descriptor | undefined> => {
    const size = isDigest(digest) ? await sizeOf({ digest }) : undefined;
    return size === undefined ? undefined : { mediaType: '', digest, size };
  };
  const open = async (blob: Descriptor): Promise<RequestBody> => {
    if ((await sizeOf(blob)) === blob.size) return restartable({ path: fileOf(blob), size: blob.size });
    throw new CarportError('E_INTEGRITY', `\`${directory}\` does not have \`${blob.digest}\` as it should`, {
      hint: 'build or copy the image again',
    });
  };
  return {
    ...{ directory, description: `\`${directory}\``, temporary, index, isRemote: false },
    async manifest(reference) {
      const found = chosen(await index(), reference, directory) ?? (await unlisted(reference));
      if (found === undefined) return undefined;
      const what = `\`${found.digest}\` of \`${directory}\``;
      const bytes = await readBlob(await open(found));
      checkBytes(what, bytes, found);
      return { descriptor: { ...found, mediaType: manifestTypeOf(what, bytes, found.mediaType) }, bytes };
    },
    async blob(blob) {
      const body = await open(blob);
      const { size } = blob;
      return { size, open: () => checkedPieces(restartPieces(body), blob, directory) };
    },
    hasBlob: async (blob) => (await sizeOf(blob)) === blob.size,
    async putBlob(blob, body) {
      await writeAtomically(fileOf(blob), (file) =>
        writeStream(file, checkedPieces(restartPieces(body), blob, directory)),
      );
      return 'sent';
    },
    takeBlob: ({ digest }, file) => rename(file, fileOf({ digest })),
    async putManifest({ descriptor, bytes }, tag, isListed = true) {
      await writeBytesAtomically(fileOf(descriptor), bytes);
      if (!isListed) return;
      await takingTurns(directory, async () =>
        writeBytesAtomically(join(directory, 'index.json'), renderDocument(withImage(await index(), descriptor, tag))),
      );
    },
    tags: async () =>
      [...new Set((await index()).manifests.flatMap(({ annotations }) => annotations?.[REF_NAME] ?? []))].sort(),
    async close() {},
  };
}

async function* restartPieces(body: RequestBody): AsyncGenerator<Uint8Array> {
  if (body instanceof Uint8Array) yield body;
  else yield* body.open();
}

async function readBlob(body: RequestBody): Promise<Uint8Array> {
  const size = body instanceof Uint8Array ? body.length : body.size;
  if (size > MANIFEST_LIMIT) throw formatError('the manifest', `has ${size} bytes, more than ${MANIFEST_LIMIT}`);
  const pieces: Uint8Array[] = [];
  for await (const bytes of restartPieces(body)) pieces.push(bytes);
  return Buffer.concat(pieces);
}

async function readIndex(file: string, directory: string): Promise<ImageIndex> {
  const stats = await stat(file).catch(() => undefined);
  if (stats === undefined) return { schemaVersion: 2, mediaType: OCI.index, manifests: [] };
  if (stats.size > MANIFEST_LIMIT) throw formatError(`\`${file}\``, 'is too large');
  return parseIndex(`\`index.json\` of \`${directory}\``, await readFile(file));
}

/** The image of a tag or digest; without one the only image that there is. */
function chosen({ manifests }: ImageIndex, reference: string | undefined, directory: string): Descriptor | undefined {
  const matches = manifests.filter(({ digest, annotations }) => {
    if (reference === undefined) return true;
    return isDigest(reference) ? digest === reference : annotations?.[REF_NAME] === reference;
  });
  if (new Set(matches.map(({ digest }) => digest)).size <= 1) return matches[0];
  const tags = manifests.map(({ annotations, digest }) => annotations?.[REF_NAME] ?? digest);
  throw new CarportError(
    'E_USAGE',
    `\`${directory}\` has several images${reference === undefined ? '' : ` \`${reference}\``}`,
    {
      hint: `name one by its tag or digest, as \`oci:${directory}:TAG\`: ${tags.slice(0, 10).join(', ')}`,
    },
  );
}

/** An index with one more image, in the place of the one that had its tag and platform. */
function withImage(index: ImageIndex, descriptor: Descriptor, tag: string | undefined): ImageIndex {
  const { annotations: _, ...plain } = descriptor;
  const entry = tag === undefined ? plain : { ...plain, annotations: { [REF_NAME]: tag } };
  // Images of other platforms stay beside it; an index stands for all of them.
  const isReplaced = ({ digest, platform, annotations }: Descriptor) => {
    if (tag === undefined) return digest === descriptor.digest;
    if (annotations?.[REF_NAME] !== tag) return false;
    return platform === undefined || plain.platform === undefined || isSamePlatform(platform, plain.platform);
  };
  return {
    schemaVersion: 2,
    mediaType: OCI.index,
    manifests: [...index.manifests.filter((each) => !isReplaced(each)), entry],
  } as ImageIndex;
}
