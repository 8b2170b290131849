/** What a push leaves out, since other caches have it. */

import type { OpenCache } from '../../cache/open.js';
import { pathsIn } from '../../cache/push/elsewhere.js';
import type { PushEvent } from '../../cache/push/events.js';
import type { PushRequest, SkippedKeys } from '../../cache/push/session.js';
import { NIXOS_KEY } from '../../cache/push/upstream-keys.js';
import { hasCode } from '../../lib/errors.js';
import { isSignedByOneOf } from '../../lib/signing/signature.js';
import type { Emit } from '../../lib/work.js';

/** Keys whose paths are left out, that of Nix's own cache among them, unless a pin is to stand for a path of that. */
export function withUpstream(
  { skipSignedBy, pins }: Pick<PushRequest, 'skipSignedBy' | 'pins'>,
  { graph, pinned }: PushRequest['closure'],
): SkippedKeys {
  // A pin is for what its cache has, and whoever names such a path for one wants it there with all that it needs.
  const named = [...pinned.storePaths, ...pinned.derivations].flatMap((path) => graph.get(path) ?? []);
  if (pins.requests.length > 0 && named.some((info) => isSignedByOneOf(info, [NIXOS_KEY]))) return skipSignedBy;
  return { ...skipSignedBy, names: [...new Set([...skipSignedBy.names, NIXOS_KEY])] };
}

/** What a cache may answer that is only asked what it has. */
const NOT_ANSWERED = ['E_UNAVAILABLE', 'E_CREDENTIALS', 'E_REMOTE', 'E_NOT_FOUND', 'E_INTEGRITY'] as const;

/** What others have, but for what pins are to stand for. One that does not answer has nothing. */
export async function pathsElsewhere(
  caches: readonly OpenCache[],
  { graph, pinned }: PushRequest['closure'],
  hasPins: boolean,
  emit: Emit<PushEvent>,
): Promise<ReadonlySet<string>> {
  const found = caches.map(({ objects }) =>
    pathsIn(objects, graph).catch((error) => {
      if (!hasCode(error, ...NOT_ANSWERED)) throw error;
      const why = error.code === 'E_UNAVAILABLE' ? 'does not answer' : `cannot be asked (${error.message})`;
      emit({ type: 'warning', message: `\`${objects.url}\` ${why}: what it may have is pushed, too` });
      return [];
    }),
  );
  const paths = new Set((await Promise.all(found)).flat());
  if (hasPins) for (const path of [...pinned.storePaths, ...pinned.derivations]) paths.delete(path);
  return paths;
}
