import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const PROGRAM = fileURLToPath(new URL('../../dist/bin/carport.js', import.meta.url));

it('help loads no module of cryptography', () => {
  const script = `
    process.argv[2] = '--help';
    process.on('exit', () => console.error(process.moduleLoadList.filter((name) => / crypto$/.test(name)).length));
    await import(process.argv[1]);`;
  const run = (from: string) =>
    execFileSync(
      '/bin/sh',
      ['-c', '"$0" --input-type=module -e "$1" "$2" 2>&1 >/dev/null', process.execPath, script, from],
      {
        encoding: 'utf8',
      },
    );
  expect(run(PROGRAM)).toBe('0\n');
  expect(run('node:crypto')).not.toBe('0\n');
});
