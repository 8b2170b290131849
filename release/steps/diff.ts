/** The difference of two texts of as many lines each, as a unified diff. Pure. */

const CONTEXT = 3;

/** The diff that `patch` and `git apply` take; nothing where the texts are the same. `name` is the path of the file. */
export function unifiedDiff(name: string, before: string, after: string): string {
  const [old, now] = [linesOf(before), linesOf(after)];
  const changed = old.flatMap((line, index) => (line === now[index] ? [] : [index]));
  const hunks: { readonly first: number; last: number }[] = [];
  for (const index of changed) {
    const hunk = hunks.at(-1);
    if (hunk && index - hunk.last <= 2 * CONTEXT) hunk.last = index;
    else hunks.push({ first: index, last: index });
  }
  if (hunks.length === 0) return '';
  const quoted = /[\x00-\x1f"\\\x7f]/.test(name)
    ? (side: string) => JSON.stringify(`${side}/${name}`)
    : (side: string) => `${side}/${name}`;
  const text = hunks.map(({ first, last }) => {
    const [from, to] = [Math.max(first - CONTEXT, 0), Math.min(last + CONTEXT + 1, old.length)];
    return `@@ -${from + 1},${to - from} +${from + 1},${to - from} @@\n${hunkLines(old, now, from, to)}`;
  });
  return `--- ${quoted('a')}\n+++ ${quoted('b')}\n${text.join('')}`;
}

function linesOf(text: string): readonly string[] {
  return text.split(/(?<=\n)/);
}

/** Lines that change in a row go together: first those of before. */
function hunkLines(old: readonly string[], now: readonly string[], from: number, to: number): string {
  let text = '';
  let added = '';
  for (let index = from; index < to; index++) {
    if (old[index] === now[index]) {
      text += added + marked(' ', old[index]!);
      added = '';
    } else {
      text += marked('-', old[index]!);
      added += marked('+', now[index]!);
    }
  }
  return text + added;
}

function marked(mark: string, line: string): string {
  return line.endsWith('\n') ? `${mark}${line}` : `${mark}${line}\n\\ No newline at end of file\n`;
}
