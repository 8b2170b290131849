import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const BIN = fileURLToPath(new URL('../../bin', import.meta.url));

/** Progress has numbers and store paths only, and help has no text of users. */
const MAY_WRITE = ['cli/context.ts', 'program.ts', 'reporters/live.ts', 'reporters/plain.ts'];

/** Data, byte by byte: of files, archives, caches and derivations, and what other programs print. */
const WRITES_DATA = [
  ...['cache/browse.ts', 'cli/context.ts', 'cli/program-output.ts', 'completion/command.ts', 'offline/export.ts'],
  ...[
    'program.ts',
    'release/steps/bump.ts',
    'release/steps/download.ts',
    'scripts/derivation.ts',
    'scripts/nar.ts',
    'scripts/narinfo.ts',
    'store/store.ts',
  ],
];

const modules = readdirSync(BIN, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));
const having = (pattern: RegExp) =>
  modules.filter((path) => pattern.test(readFileSync(join(BIN, path), 'utf8'))).sort();

it('writes to the streams of the process in one module, which lets no secret out', () => {
  expect(having(/\b(?:stdout|stderr|output)\.(?:write|end)\(/)).toEqual([...MAY_WRITE].sort());
  expect(having(/\bconsole\./)).toEqual([]);
});

it('writes as it is only what is data', () => {
  expect(having(/(?<!function )\bwrite\((?:context\.)?(?:stdout|stderr|output)\b/)).toEqual([...WRITES_DATA].sort());
});
