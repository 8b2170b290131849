/** Where in a TOML text something stands, for errors that name a line. Pure. */

/** Names of a header or a key, `a.b."c d"`, without their quotes. */
function namesOf(dotted: string): readonly string[] {
  const parts = dotted.match(/"(?:\\.|[^"\\])*"|'[^']*'|[^.\s"']+/g) ?? [];
  return parts.map((part) => part.replace(/^(["'])(.*)\1$/, '$2'));
}

/**
 * The line, from 1, of what has these names, from the outermost: of the deepest table or key on the way there that has a line of
 * its own. Nothing where there is none.
 */
export function lineOf(text: string, names: readonly string[]): number | undefined {
  let header: readonly string[] = [];
  let best: { readonly line: number; readonly depth: number } | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    const [, table] = /^\s*\[+([^\]]+)\]/.exec(line) ?? [];
    const [, key] = /^\s*((?:[\w.-]|"(?:\\.|[^"\\])*"|'[^']*'|\s*\.\s*)+?)\s*=/.exec(line) ?? [];
    if (table === undefined && key === undefined) continue;
    const path = table === undefined ? [...header, ...namesOf(key!)] : namesOf(table);
    if (table !== undefined) header = path;
    const depth = Math.min(path.length, names.length);
    const isOnTheWay = names.slice(0, depth).every((name, at) => name === path[at]);
    if (isOnTheWay && depth > (best?.depth ?? 0)) best = { line: index + 1, depth };
  }
  return best?.line;
}

/** `FILE:12`, or the file alone. */
export function placeIn(file: string, text: string, names: readonly string[]): string {
  const line = lineOf(text, names);
  return line === undefined ? file : `${file}:${line}`;
}
