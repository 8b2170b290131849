/** What `carport/nix` exports. */

export { CarportError, type ErrorCode } from '../errors.js';
export { decodeNix32, encodeNix32 } from './base32.js';
export { type CacheInfo, parseCacheInfo, renderCacheInfo } from './cache-info.js';
export { type PathGraph, reachableFrom, shortestChain, topologicalOrder } from './closure.js';
export { closureSizes, type PathSizes } from './closure-sizes.js';
export {
  type ContentAddress,
  type ContentAddressMethod,
  isContentAddressOf,
  makeContentAddressedPath,
  type PathReferences,
  parseContentAddress,
  renderContentAddress,
} from './content-address.js';
export { parseDerivation, printDerivation } from './derivation/aterm.js';
export {
  type ByteString,
  bytesOfText,
  type Derivation,
  type DerivationOutput,
  derivationName,
  isDerivationPath,
  isFixedOutput,
  textOfBytes,
} from './derivation/derivation.js';
export { derivationToJson } from './derivation/json.js';
export { createOutputPaths, derivationPath, type FindDerivation } from './derivation/modulo.js';
export {
  formatHash,
  HASH_ALGORITHMS,
  HASH_FORMATS,
  type Hash,
  type HashAlgorithm,
  type HashFormat,
  hashBytes,
  hashesEqual,
  parseHash,
  renderHash,
} from './hash.js';
export { createNarDecoder, decodeNar, type NarDecoder } from './nar/decode.js';
export { encodeNar } from './nar/encode.js';
export { NAR_LIMITS, type NarEvent } from './nar/event.js';
export {
  createListingBuilder,
  findInListing,
  type ListingBuilder,
  type NarListing,
  parseListing,
  renderListing,
} from './nar/listing.js';
export { type NarInfo, parseNarInfo, renderNarInfo, type UnknownField } from './narinfo.js';
export { mergeSignatures, type PathInfo } from './path-info.js';
export {
  createHashPartRewriter,
  createMentionScanner,
  createReferenceScanner,
  createSelfReferenceHasher,
  type ReferenceScanner,
} from './references.js';
export {
  baseNameOf,
  DEFAULT_STORE_DIR,
  hashPartOf,
  isHashPart,
  isStorePath,
  isStorePathName,
  makeOutputPath,
  makeStorePath,
  nameOf,
  parseStorePath,
  storeDirOf,
} from './store-path.js';
