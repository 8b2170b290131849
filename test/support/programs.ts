import { spawnSync } from 'node:child_process';
import { describeWithPeer } from './peers.js';

/**
 * `describe` for tests against a program of the system. Without it the suite is skipped and says so; with
 * `CARPORT_REQUIRE_PEERS=1` it fails.
 */
export function describeWithProgram(program: string, title: string, body: () => void): void {
  const missing = spawnSync(program, ['--version']).status !== 0;
  describeWithPeer(missing ? `\`${program}\` is not on PATH` : undefined, title, body);
}

/** Runs a program on bytes; gives the bytes that it printed. Throws when it fails. */
export function runOnBytes(program: string, args: readonly string[], input: Uint8Array = new Uint8Array()): Buffer {
  const { status, stdout, stderr, error } = spawnSync(program, args, { input, maxBuffer: 256 * 1024 * 1024 });
  if (status !== 0) throw error ?? new Error(`\`${program} ${args.join(' ')}\` failed: ${stderr}`);
  return stdout;
}

/** Why a suite cannot run here: the first of these programs that is not on PATH. */
export function missingProgram(...programs: readonly string[]): string | undefined {
  const missing = programs.find((program) => spawnSync(program, ['--version']).status !== 0);
  return missing && `\`${missing}\` is not on PATH`;
}
