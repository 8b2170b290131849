import { mkdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { useSandbox } from '../support/sandbox.js';

describe('a symlink whose target lies across the pieces of a decompressed NAR', () => {
  const box = useSandbox();

  it('arrives as it was', async () => {
    const tree = box().path('tree');
    mkdirSync(tree);
    // 256 KiB of decompressed NAR end within the target.
    writeFileSync(`${tree}/a`, 'A'.repeat(259_500));
    symlinkSync('t'.repeat(4000), `${tree}/b`);
    writeFileSync(`${tree}/c`, 'X'.repeat(600_000));
    const [from, to, cache] = ['from', 'to', 'cache'].map((name) => box().path(name));
    const { stdout } = await box().succeed(['store', 'add', tree, '--name', 'tree', '--store', from!]);
    const path = stdout.trim();
    await box().succeed(['push', path, '--store', from!, '--to', cache!]);
    await box().succeed(['pull', path, '--store', to!, '--from', cache!, '--allow-unsigned']);
    expect(readlinkSync(`${to}${path}/b`)).toBe('t'.repeat(4000));
    await box().succeed(['store', 'verify', '--store', to!]);
  });
});
