import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { withActivity } from '#bin/reporters/activity.js';
import type { ActivityEvent } from '#lib/work.js';
import { fakeContext } from '../../support/context.js';

const MiB = 1024 * 1024;
const STARTED: ActivityEvent = { type: 'started', verb: 'put', unit: 'files', items: 2, bytes: 101 * MiB };
const WORK: readonly ActivityEvent[] = [
  { type: 'item-started', name: 'large.iso', size: 100 * MiB },
  { type: 'progress', bytes: 50 * MiB },
  { type: 'progress', bytes: 50 * MiB },
  { type: 'item-finished', name: 'large.iso', size: 100 * MiB },
  { type: 'item-started', name: 'small.txt', size: MiB },
  { type: 'progress', bytes: MiB },
  { type: 'item-finished', name: 'small.txt', size: MiB },
];

const progressOf = (bytes: number): ActivityEvent => ({ type: 'progress', bytes });

describe('the reporter of an activity', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const report = async (
    options: { json?: boolean; quiet?: boolean; verbose?: number },
    { env = {}, terminal, step = 1000, events = [STARTED, ...WORK] }: Surroundings = {},
  ) => {
    const context = fakeContext(env, terminal);
    await withActivity(context, options, async ({ emit }) => {
      for (const event of events) {
        vi.advanceTimersByTime(step);
        emit(event);
      }
    });
    return { stdout: context.stdout.text(), stderr: context.stderr.text() };
  };

  it('names large items in a log, and tells it every ten seconds how far it is', async () => {
    expect(await report({})).toEqual({ stdout: '', stderr: 'large.iso (100.0 MiB)\n' });
    expect((await report({}, { step: 6000 })).stderr).toBe(
      [
        'put 0/2 files, 50.0 MiB of 101.0 MiB, 4.2 MiB/s, 12s left\n',
        'put 1/2 files, 100.0 MiB of 101.0 MiB, 4.2 MiB/s, 0s left\n',
        'large.iso (100.0 MiB)\n',
        'put 1/2 files, 101.0 MiB of 101.0 MiB, 2.8 MiB/s\n',
      ].join(''),
    );
  });

  it('writes over one line on a terminal, and leaves none of it', async () => {
    const { stdout, stderr } = await report({}, { terminal: { columns: 80 } });
    expect(stdout).toBe('');
    expect(stderr.split('\r\x1b[K')).toContain('put 1/2 files, 100.0 MiB of 101.0 MiB, 25.0 MiB/s, 0s left');
    expect(stderr.endsWith('\r\x1b[K')).toBe(true);
    expect(stderr).not.toContain('\n');
  });

  it('writes a line of JSON a second to stderr, and leaves stdout to the result', async () => {
    const { stdout, stderr } = await report({ json: true }, { terminal: { columns: 80 }, step: 600 });
    expect(stdout).toBe('');
    const lines = stderr.split('\n').slice(0, -1);
    expect(lines.map((line) => JSON.parse(line))).toEqual(
      [
        [0, 50 * MiB],
        [1, 100 * MiB],
        [1, 101 * MiB],
      ].map(([itemsDone, bytesDone]) => ({
        ...{ version: 1, type: 'progress', verb: 'put', unit: 'files', items: 2, itemsDone },
        ...{ bytes: 101 * MiB, bytesDone },
      })),
    );
  });

  it('says nothing in JSON of what is done at once', async () => {
    expect(await report({ json: true }, { step: 100 })).toEqual({ stdout: '', stderr: '' });
  });

  it('tells no rate and no time left before there is enough to tell', async () => {
    const events: readonly ActivityEvent[] = [STARTED, ...[128, 128, 128, 50 * MiB].map(progressOf)];
    const { stderr } = await report({}, { terminal: { columns: 80 }, events, step: 1500 });
    expect(stderr.split('\r\x1b[K').filter((line) => line !== '')).toEqual([
      'put 0/2 files, 128 B of 101.0 MiB',
      'put 0/2 files, 256 B of 101.0 MiB, 85 B/s',
      'put 0/2 files, 384 B of 101.0 MiB, 85 B/s',
      'put 0/2 files, 50.0 MiB of 101.0 MiB, 8.3 MiB/s, 6s left',
    ]);
  });

  it('leaves out what is not known', async () => {
    const started: ActivityEvent = { type: 'started', verb: 'erase', unit: 'objects' };
    const events: ActivityEvent[] = [started, { type: 'progress', items: 1000 }];
    expect((await report({}, { step: 12_000, events })).stderr).toBe('erase 1000 objects\n');
    const json = await report({ json: true }, { events });
    expect(JSON.parse(json.stderr)).toMatchObject({ items: null, itemsDone: 1000, bytes: null, bytesDone: 0 });
    const read: ActivityEvent[] = [started, { type: 'progress', bytes: 24 * MiB }];
    expect((await report({}, { step: 12_000, events: read })).stderr).toBe('erase 0 objects, 24.0 MiB, 2.0 MiB/s\n');
  });

  it('names each item when it shall be verbose, and says nothing when it shall be quiet', async () => {
    const verbose = await report({ verbose: 1 }, { terminal: { columns: 80 } });
    expect(verbose.stderr).toBe('large.iso (100.0 MiB)\nsmall.txt (1.0 MiB)\n');
    for (const options of [{ quiet: true }, { quiet: true, json: true }]) {
      expect((await report(options, { step: 20_000 })).stderr).toBe('');
    }
    expect((await report({ json: true }, { step: 20_000, env: { CARPORT_PROGRESS: 'none' } })).stderr).toBe('');
  });

  it('takes the live line down for a warning', async () => {
    const events: ActivityEvent[] = [STARTED, WORK[1]!, { type: 'warning', message: 'mind the gap' }, WORK[2]!];
    const { stderr } = await report({}, { terminal: { columns: 80 }, events });
    expect(stderr).toMatch(/left\r\x1b\[Kwarning: mind the gap\n/);
    expect((await report({ quiet: true }, { events })).stderr).toBe('warning: mind the gap\n');
  });
});

interface Surroundings {
  readonly env?: NodeJS.ProcessEnv;
  readonly terminal?: { readonly columns: number };
  /** Milliseconds between events. */
  readonly step?: number;
  readonly events?: readonly ActivityEvent[];
}
