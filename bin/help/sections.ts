/** How sections of help are laid out. */

export function section(title: string, rows: readonly (readonly string[])[]): string {
  const width = Math.max(...rows.map(([term]) => term!.length), 0);
  return list(
    title,
    rows.map(([term, text]) => `${term!.padEnd(width)}  ${text}`),
  );
}

export function list(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? '' : `${title}:\n${lines.map((line) => `  ${line}\n`).join('')}`;
}
