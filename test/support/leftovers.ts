import { spawnSync } from 'node:child_process';
import { basename } from 'node:path';
import { expect } from 'vitest';
import { createTemporaryNames } from '#lib/filesystem/temporary.js';

/** A temporary name that this process would give, as if another process had made it. */
export async function nameBy({ pid, space }: { pid?: number; space?: string }): Promise<string> {
  const [empty, prefix, ownSpace, ownPid, random] = basename((await createTemporaryNames('/'))()).split(/[.-]/);
  expect([empty, prefix, ownPid]).toEqual(['', 'carport', String(process.pid)]);
  return `.carport-${space ?? ownSpace}-${pid ?? ownPid}-${random}`;
}

/** The id of a process that has ended. */
export function deadPid(): number {
  return spawnSync('true').pid;
}
