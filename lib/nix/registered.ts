/** What a store knows of a path that it has from a cache. */

import { checkedContentAddress } from './content-address.js';
import { renderHash } from './hash.js';
import type { NarInfo } from './narinfo.js';
import type { PathInfo } from './path-info.js';

/** What is registered of a path: what was signed, and of the rest only what could be checked. */
export function registeredInfo(info: NarInfo): PathInfo {
  const { path, narHash, narSize, references, deriver, signatures } = info;
  const ca = checkedContentAddress(info);
  return {
    ...{ path, narHash, narSize, references, signatures },
    ...(deriver && { deriver }),
    ...(ca && { ca }),
  };
}

/** What is known of a path, as a narinfo of its plain NAR. */
export function plainNarInfo({ path, narHash, narSize, references, deriver, signatures, ca }: PathInfo): NarInfo {
  return {
    ...{ path, narHash, narSize, references, signatures },
    ...(deriver && { deriver }),
    ...(ca && { ca }),
    url: `nar/${renderHash(narHash).replace('sha256:', '')}.nar`,
    compression: 'none',
    unknownFields: [],
  };
}
