import { spawnSync } from 'node:child_process';
import { describe, it } from 'vitest';
import { PEERS_REQUIRED } from './nix.js';

/**
 * `describe` for tests against a program of the system. Without it the suite is skipped and says so; with
 * `CARPORT_REQUIRE_PEERS=1` it fails.
 */
export function describeWithProgram(program: string, title: string, body: () => void): void {
  if (spawnSync(program, ['--version']).status === 0) {
    describe(title, body);
  } else if (PEERS_REQUIRED) {
    describe(title, () => {
      it('finds its peer', () => {
        throw new Error(`\`${program}\` is not on PATH`);
      });
    });
  } else {
    describe.skip(`${title}: skipped, \`${program}\` is not on PATH`, body);
  }
}

/** Runs a program on bytes; gives the bytes that it printed. Throws when it fails. */
export function runOnBytes(program: string, args: readonly string[], input: Uint8Array = new Uint8Array()): Buffer {
  const { status, stdout, stderr, error } = spawnSync(program, args, { input, maxBuffer: 256 * 1024 * 1024 });
  if (status !== 0) throw error ?? new Error(`\`${program} ${args.join(' ')}\` failed: ${stderr}`);
  return stdout;
}
