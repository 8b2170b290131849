/** What `pin ls` prints: a row for each value of a pin. */

import type { PathsRefusal } from '../../cache/pins/paths.js';
import type { Pin, PinValue } from '../../cache/pins/pin.js';
import type { Context } from '../cli/context.js';
import { printable, printableLine } from '../cli/printable.js';
import { writeList } from '../reporters/table.js';

/** Why a pin is not taken. */
export type Refused = 'damaged' | 'renamed' | 'wrong-signature' | 'untrusted' | 'older' | 'expired';

/** What is to be thought of a pin. */
export type State = 'good' | Refused | PathsRefusal;

/** A pin of a cache. */
export interface Listed {
  readonly name: string;
  readonly cache: string;
  readonly pin?: Pin;
  readonly state: State;
  /** Of each value of the history, where that is printed. */
  readonly older: readonly State[];
}

/** Writes pins; with their caches where there are several. */
export async function writePins(listed: readonly Listed[], showCache: boolean, context: Context): Promise<void> {
  const rows = listed.flatMap(rowsOf);
  const names = ['pin', ...(showCache ? ['cache'] : []), 'since', 'state', 'store paths'];
  const cells = ({ name, cache, since, state, storePaths }: Row, absent?: string) => [
    name,
    ...(showCache ? [cache] : []),
    ...(since === undefined && absent === undefined ? [] : [since ?? absent!]),
    state,
    ...(storePaths === undefined ? [] : [storePaths.join(' ')]),
  ];
  await writeList(context, rows, {
    columns: names.map((name) => ({ name })),
    row: (row) => cells(row, '-').map(printableLine),
    line: (row) => printable(cells(row).join('  ')),
  });
}

interface Row {
  readonly name: string;
  readonly cache: string;
  readonly state: State;
  readonly since?: string;
  readonly storePaths?: readonly string[];
}

function rowsOf({ name, cache, pin, state, older }: Listed): readonly Row[] {
  if (pin === undefined) return [{ name, cache, state }];
  const row = (text: string, { since, storePaths }: PinValue, verdict: State): Row => ({
    ...{ name: text, cache, since, state: verdict, storePaths },
  });
  return [
    row(name, pin, state),
    ...older.map((each, at) => row(`${name}@${pin.history[at]!.since}`, pin.history[at]!, each)),
  ];
}
