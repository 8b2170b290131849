import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { expect } from 'vitest';
import { createTemporaryNames } from '#lib/filesystem/temporary.js';

/** Who gives a temporary name; this process, unless it is said otherwise. */
interface Maker {
  readonly machine?: string;
  readonly boot?: string;
  readonly namespace?: string;
  readonly pid?: number;
  /** When the process started; by default as `/proc` says. */
  readonly start?: string;
}

/** A temporary name that this process would give, as if another process had made it. */
export async function nameBy(other: Maker): Promise<string> {
  const parts = basename((await createTemporaryNames('/'))()).split(/[.-]/);
  const [empty, prefix, machine, boot, namespace, pid, start, random] = parts;
  expect([empty, prefix, pid]).toEqual(['', 'carport', String(process.pid)]);
  const maker = {
    machine,
    boot,
    namespace,
    pid,
    start: other.pid === undefined ? start : startOf(other.pid),
    ...other,
  };
  return `.carport-${maker.machine}-${maker.boot}-${maker.namespace}-${maker.pid}-${maker.start}-${random}`;
}

function startOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ')[19]!;
  } catch {
    return '1';
  }
}

/** The id of a process that has ended. */
export function deadPid(): number {
  return spawnSync('true').pid;
}
