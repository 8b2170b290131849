import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, it } from 'vitest';
import { TOP } from './markdown.js';
import { describeWithPeer } from './peers.js';

/**
 * Runs a scenario of `test/scenarios` as people do. All that it looks at is in its summary, a line each: at least so many,
 * and all of them right.
 */
export function describeScenario(name: string, atLeast: number): void {
  const run = join(TOP, 'test/scenarios', name, 'run');
  const { status, stderr } = spawnSync(run, ['--needs'], { encoding: 'utf8' });
  describeWithPeer(status === 0 ? undefined : stderr.trim(), `the scenario of ${name}`, () => {
    it('ends as its README says', { timeout: 600_000 }, async () => {
      const { stdout, stderr: said, exitCode } = await execa(run, { reject: false, stdin: 'ignore' });
      const lines = stdout.split('\n');
      expect(
        lines.filter((line) => line.startsWith('FAILED')),
        stdout + said,
      ).toEqual([]);
      expect(exitCode, stdout + said).toBe(0);
      expect(lines.filter((line) => line.startsWith('ok ')).length).toBeGreaterThanOrEqual(atLeast);
    });
  });
}
