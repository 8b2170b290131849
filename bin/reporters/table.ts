/** Lists for people and for scripts: a table at a terminal, and a line for each thing elsewhere. */

import { type Context, writeLines } from '../cli/context.js';

/** A column: words stand to the left, numbers to the right. */
export interface Column {
  readonly name: string;
  readonly isNumber?: boolean;
}

/** The rows below the names of their columns, aligned. */
export function tableLines(columns: readonly Column[], rows: readonly (readonly string[])[]): readonly string[] {
  const all = [columns.map(({ name }) => name), ...rows];
  const widths = columns.map((_, at) => all.reduce((width, row) => Math.max(width, row[at]?.length ?? 0), 0));
  return all.map((row) =>
    columns
      .map(({ isNumber }, at) =>
        isNumber ? (row[at] ?? '').padStart(widths[at]!) : (row[at] ?? '').padEnd(widths[at]!),
      )
      .join('  ')
      .trimEnd(),
  );
}

/** Writes a list: a table at a terminal; elsewhere `line` of each thing, as scripts know it. `row` gives the cells of one. */
export async function writeList<T>(
  { stdout }: Context,
  things: readonly T[],
  how: { readonly columns: readonly Column[]; row(thing: T): readonly string[]; line(thing: T): string },
): Promise<void> {
  const { columns, row, line } = how;
  const isTable = stdout.isTTY === true && things.length > 0;
  await writeLines(stdout, isTable ? tableLines(columns, things.map(row)) : things.map(line));
}
