/** Which batch a narinfo lies in, too: a field of it that Nix passes over, and nobody signs. */

import type { NarInfo, UnknownField } from '../../lib/nix/narinfo.js';

/** The field follows what is said of the file. */
const KEY = 'CarportBatch';
const AFTER = 'FileSize';

/** Narinfos of one batch, at most: a reader who wants few of them fetches not much more. */
export const MOST_IN_BATCH = 2048;

/** The name of a batch, and how many narinfos lie in it. */
const VALUE = /^([0-9a-df-np-sv-z]{24}) ([1-9][0-9]{0,3})$/;
const NAME = /^[0-9a-df-np-sv-z]{24}$/;

/** A batch, as a narinfo tells of it. */
export interface ToldBatch {
  readonly name: string;
  /** Narinfos that lie in it, as was told: it was not looked at. */
  readonly count: number;
}

/** Whether a text may be the name of a batch. */
export function isBatchName(text: string): boolean {
  return NAME.test(text);
}

/** The field of narinfos that lie in a batch. */
export function batchField({ name, count }: ToldBatch): UnknownField {
  return { key: KEY, value: `${name} ${count}`, after: AFTER };
}

/** The batch that an untrusted narinfo names; `undefined` where it names none, or is not as carport writes it. */
export function toldBatch({ unknownFields }: Pick<NarInfo, 'unknownFields'>): ToldBatch | undefined {
  const fields = unknownFields.filter(({ key }) => key === KEY);
  const match = fields.length === 1 ? VALUE.exec(fields[0]!.value) : null;
  if (match === null || Number(match[2]) > MOST_IN_BATCH) return undefined;
  return { name: match[1]!, count: Number(match[2]) };
}

/** The narinfo as it is for another place: in that batch, or in none. */
export function inBatch(info: NarInfo, batch: ToldBatch | undefined): NarInfo {
  const others = info.unknownFields.filter(({ key }) => key !== KEY);
  if (batch === undefined && others.length === info.unknownFields.length) return info;
  return { ...info, unknownFields: batch ? [...others, batchField(batch)] : others };
}
