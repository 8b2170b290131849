import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The directory of the data that real Nix made (`generate.sh`). */
export const GOLDEN = fileURLToPath(new URL('../golden/', import.meta.url));

/** Real-world data beside the repository, which is not committed; `undefined` when it is not there. */
export const SHARED_GOLDEN = ((path) => (existsSync(path) ? path : undefined))(
  fileURLToPath(new URL('../../../shared/golden/', import.meta.url)),
);

/** The bytes of a golden file. */
export function goldenBytes(...path: readonly string[]): Buffer {
  return readFileSync(join(GOLDEN, ...path));
}

/** The text of a golden file, one character a byte. */
export function goldenText(...path: readonly string[]): string {
  return readFileSync(join(GOLDEN, ...path), 'latin1');
}

/** The rows of a golden table. */
export function goldenRows(name: string): string[][] {
  return goldenText(name)
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t'));
}

/** The names of golden files with an ending; throws when there is none, as tests of nothing would pass. */
export function goldenFiles(directory: string, ending: string): string[] {
  const names = readdirSync(join(GOLDEN, directory)).filter((name) => name.endsWith(ending));
  if (names.length === 0) throw new Error(`no golden file ends in ${ending}`);
  return names.sort();
}
