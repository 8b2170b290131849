import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { describe, expect, it, vi } from 'vitest';
import { CARPORT, useSandbox } from '../support/sandbox.js';

/** Commands that wait for a Nix that does not answer. */

const PATH_OF_NIX = `/nix/store/${'a'.repeat(32)}-a`;

/** When processes have ended. Of one that nobody has asked how it ended the system keeps no command line. */
const ended = (ids: readonly string[]) =>
  vi.waitFor(async () => {
    for (const id of ids) expect(await readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')).toBe('');
  }, PATIENCE);

const PATIENCE = { timeout: 60_000 };

describe.runIf(process.platform === 'linux')('an interrupt while Nix is asked', () => {
  const box = useSandbox();

  /** Runs carport until so many Nix are there, sends a signal; gives how it ended and which Nix were there. */
  const interrupt = async (args: readonly string[], programs: number, signal: NodeJS.Signals) => {
    const ids = box().path('ids');
    await mkdir(ids);
    const nix = `#!/bin/sh\n: >${ids}/$$\nexec /bin/sleep 60\n`;
    await writeFile(box().path('bin/nix'), nix, { mode: 0o755 });
    const child = spawn(process.execPath, [CARPORT, ...args], { env: box().env, stdio: ['ignore', 'pipe', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (bytes: Buffer) => {
      stderr += bytes;
    });
    const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
    await vi.waitFor(async () => expect((await readdir(ids)).length).toBe(programs), PATIENCE);
    child.kill(signal);
    return { exitCode: await closed, stderr, ids: await readdir(ids) };
  };

  const push = async (...more: readonly string[]) => {
    const { file } = await box().makeKey('k-1');
    return ['push', PATH_OF_NIX, '--to', `file://${box().path('cache')}`, '--secret-key', file, ...more];
  };

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'ends a push by %s, and all that it has asked ahead',
    async (signal) => {
      const { exitCode, stderr, ids } = await interrupt(await push(), 2, signal);
      expect([exitCode, stderr]).toEqual([
        130,
        expect.stringContaining(`error[E_INTERRUPTED]: stopped by ${signal}\n`),
      ]);
      await ended(ids);
    },
  );

  it('is told as JSON, too', async () => {
    const { exitCode, stderr } = await interrupt(await push('--json'), 2, 'SIGTERM');
    expect(JSON.parse(stderr)).toMatchObject({ code: 'E_INTERRUPTED', message: 'stopped by SIGTERM', exitCode });
  });

  it('ends a command that asks when it is loaded', async () => {
    const { exitCode, stderr, ids } = await interrupt(['closure', PATH_OF_NIX], 1, 'SIGTERM');
    expect([exitCode, stderr]).toEqual([130, expect.stringContaining('error[E_INTERRUPTED]: stopped by SIGTERM\n')]);
    await ended(ids);
  });
});
