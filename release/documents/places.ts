/** Where each kind of signed document is in the bucket. */

import type { DocumentPlace } from '../../lib/object-store/documents.js';
import { fragmentKey, PROMOTIONS, PRUNINGS, versionKey, YANKS } from '../layout.js';
import { FRAGMENT, PROMOTION, PRUNING, YANK } from './kinds.js';

export const FRAGMENT_PLACE: DocumentPlace<typeof FRAGMENT.entries> = {
  kind: FRAGMENT,
  keyOf: ({ version, target }) => fragmentKey(version, target),
};

export const YANK_PLACE: DocumentPlace<typeof YANK.entries> = {
  kind: YANK,
  keyOf: ({ version }) => versionKey(YANKS, version),
};

export const PROMOTION_PLACE: DocumentPlace<typeof PROMOTION.entries> = {
  kind: PROMOTION,
  keyOf: ({ version }) => versionKey(PROMOTIONS, version),
};

export const PRUNING_PLACE: DocumentPlace<typeof PRUNING.entries> = {
  kind: PRUNING,
  keyOf: ({ version }) => versionKey(PRUNINGS, version),
};
