import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type GroupRequest, runGroup } from '#lib/process/group.js';

/** Runs a shell script; what its outputs said, and how it ended. */
async function group(script: string, options: Partial<GroupRequest> = {}) {
  const outputs: string[] = [];
  const end = await runGroup({
    program: '/bin/sh',
    arguments: ['-c', script],
    env: { PATH: process.env.PATH },
    directory: '/',
    timeLimit: 60_000,
    signal: new AbortController().signal,
    async show(output) {
      const index = outputs.push('') - 1;
      outputs[index] = String(await buffer(output).catch(() => ''));
    },
    ...options,
  });
  return { end, outputs };
}

/** Waits until a process is gone: the system takes its time. */
async function gone(processId: number): Promise<boolean> {
  for (let tries = 0; tries < 100; tries++) {
    try {
      process.kill(processId, 0);
    } catch {
      return true;
    }
    await sleep(50);
  }
  return false;
}

describe('runGroup', () => {
  it('tells how the leader ended, and shows its outputs', async () => {
    expect(await group('echo out; echo err >&2; exit 4')).toEqual({
      end: { state: 'exited', exitCode: 4 },
      outputs: ['out\n', 'err\n'],
    });
    expect((await group('kill -TERM $$')).end).toEqual({ state: 'killed', signal: 'SIGTERM' });
  });

  it('tells why a program was not started', async () => {
    const none = await group('', { program: '/no/such/program' });
    expect(none.end).toEqual({ state: 'not-started', reason: 'spawn /no/such/program ENOENT' });
    const long = await group('x'.repeat(200_000));
    expect(long.end).toMatchObject({ state: 'not-started', reason: expect.stringMatching(/E2BIG/) });
  });

  it('leaves nothing of the group behind', async () => {
    const { end, outputs } = await group('sleep 300 & echo $!');
    expect(end).toEqual({ state: 'exited', exitCode: 0 });
    expect(await gone(Number(outputs[0]))).toBe(true);
  });

  it('ends all of it when it takes too long, and kills what does not mind', async () => {
    const { end, outputs } = await group("trap '' TERM; echo $$; while :; do sleep 0.1; done", { timeLimit: 300 });
    expect(end).toEqual({ state: 'timed-out' });
    expect(await gone(Number(outputs[0]))).toBe(true);
  });

  it('ends all of it when it is told to, and throws why', async () => {
    const interrupt = new AbortController();
    const reason = new Error('interrupted');
    let leader = 0;
    const show = async (output: AsyncIterable<Uint8Array>) => {
      for await (const piece of output) {
        leader = Number(String(Buffer.from(piece)));
        interrupt.abort(reason);
      }
    };
    await expect(group('echo $$; sleep 300', { signal: interrupt.signal, show })).rejects.toBe(reason);
    expect(leader).toBeGreaterThan(1);
    expect(await gone(leader)).toBe(true);
  });
});
