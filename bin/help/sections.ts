/** How sections of help are laid out. */

export function section(title: string, rows: readonly (readonly string[])[]): string {
  const width = Math.max(...rows.map(([term]) => term!.length), 0);
  return list(
    title,
    rows.flatMap(([term, text]) =>
      text!.split('\n').map((line, index) => `${(index === 0 ? term! : '').padEnd(width)}  ${line}`),
    ),
  );
}

export function list(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? '' : `${title}:\n${lines.map((line) => `  ${line}\n`).join('')}`;
}
