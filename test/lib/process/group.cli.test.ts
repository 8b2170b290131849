import { buffer } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { type GroupRequest, runGroup } from '#lib/process/group.js';
import { isAlive } from '../../support/processes.js';

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
const expectGone = async (processId: number) => {
  expect(processId).toBeGreaterThan(1);
  await expect.poll(() => isAlive(processId)).toBe(false);
};

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
    await expectGone(Number(outputs[0]));
  });

  it('ends all of it when it takes too long, and kills what does not mind', async () => {
    let printed = '';
    // On a busy machine its time may be over before it has begun: then it gets more.
    for (let timeLimit = 300; printed === ''; timeLimit *= 4) {
      const { end, outputs } = await group("trap '' TERM; echo $$; while :; do sleep 0.1; done", { timeLimit });
      expect(end).toEqual({ state: 'timed-out' });
      printed = outputs[0]!;
    }
    await expectGone(Number(printed));
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
    await expectGone(leader);
  });
});
