import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createReporter, type WorkEvent } from '#bin/reporters/transfer.js';
import { nodePath } from '../../support/arbitraries.js';
import { fakeContext } from '../../support/context.js';
import { expectError } from '../../support/errors.js';

const MiB = 1024 * 1024;
const [SMALL, LARGE] = [nodePath('small'), nodePath('large')];
const PLAN: WorkEvent = {
  ...{ type: 'plan', verb: 'push', paths: 3, present: 1, skipped: 0, transfer: 2 },
  ...{ narSize: 101 * MiB, storePaths: [SMALL, LARGE] },
};
const SUMMARY: WorkEvent = {
  ...{ type: 'summary', verb: 'push', paths: 3, present: 1, skipped: 0, transferred: 2, signed: 0 },
  ...{ narSize: 101 * MiB, fileSize: 30 * MiB, storePaths: [SMALL, LARGE] },
};
const WORK: readonly WorkEvent[] = [
  { type: 'path-started', path: LARGE, narSize: 100 * MiB },
  { type: 'path-started', path: SMALL, narSize: MiB },
  { type: 'progress', bytes: 50 * MiB },
  { type: 'path-finished', path: SMALL, narSize: MiB, fileSize: 1000 },
  { type: 'progress', bytes: 51 * MiB },
  { type: 'path-finished', path: LARGE, narSize: 100 * MiB, fileSize: 30 * MiB },
];
const PLAN_TEXT = '3 paths: 1 already cached, 2 to upload (101.0 MiB)\n';
const SUMMARY_TEXT = 'pushed 2 paths (101.0 MiB, 30.0 MiB compressed), 1 was there\n';

describe('the reporter', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** Reports all events, some time after each other; gives what was written. */
  const report = (
    options: { json?: boolean; quiet?: boolean; verbose?: number },
    { env = {}, terminal, step = 1000, events = [PLAN, ...WORK, SUMMARY] }: Surroundings = {},
  ) => {
    const context = fakeContext(env, terminal);
    const reporter = createReporter(context, options);
    for (const event of events) {
      vi.advanceTimersByTime(step);
      reporter.emit(event);
    }
    reporter.stop();
    return { stdout: context.stdout.text(), stderr: context.stderr.text() };
  };

  it('writes the plan, large paths and the summary to a log, and nothing to stdout', () => {
    const { stdout, stderr } = report({});
    expect(stdout).toBe('');
    expect(stderr).toBe(`${PLAN_TEXT}${LARGE} (100.0 MiB)\n${SUMMARY_TEXT}`);
  });

  it('tells a log every ten seconds how far it is', () => {
    const { stderr } = report({}, { step: 6000 });
    expect(stderr).toBe(
      [
        PLAN_TEXT,
        'push 0/2 paths, 50.0 MiB of 101.0 MiB, 2.8 MiB/s, 18s left\n',
        'push 1/2 paths, 101.0 MiB of 101.0 MiB, 3.4 MiB/s\n',
        `${LARGE} (100.0 MiB)\n`,
        SUMMARY_TEXT,
      ].join(''),
    );
  });

  it('writes over one line on a terminal, and leaves none of it', () => {
    const { stdout, stderr } = report({}, { terminal: { columns: 60 } });
    expect(stdout).toBe('');
    const draws = stderr.split('\r\x1b[K');
    expect(draws[0]).toBe(PLAN_TEXT);
    expect(draws).toContain('push 1/2 paths, 50.0 MiB of 101.0 MiB, 12.5 MiB/s, 4s left');
    expect(draws.at(-1)).toBe(SUMMARY_TEXT);
    // What was drawn is cleared before anything else is written.
    for (const draw of draws.slice(1, -1)) expect(draw).not.toContain('\n');
  });

  it('draws ten times a second at most, and never wider than the terminal', () => {
    const events = [PLAN, ...Array.from({ length: 1000 }, (): WorkEvent => ({ type: 'progress', bytes: 1000 }))];
    const { stderr } = report({}, { terminal: { columns: 30 }, step: 10, events });
    const draws = stderr.split('\r\x1b[K').filter((draw) => draw !== '' && draw !== PLAN_TEXT);
    expect(draws.length).toBeGreaterThan(80);
    expect(draws.length).toBeLessThanOrEqual(101);
    for (const draw of draws) expect(draw.length).toBeLessThan(30);
  });

  it('takes the live line down for a warning, and when it is stopped', () => {
    const warning: WorkEvent = { type: 'warning', message: 'mind the gap' };
    const events = [
      PLAN,
      { type: 'progress', bytes: MiB } as const,
      warning,
      { type: 'progress', bytes: MiB } as const,
    ];
    const { stderr } = report({}, { terminal: { columns: 80 }, events });
    expect(stderr).toMatch(/\r\x1b\[Kwarning: mind the gap\n/);
    expect(stderr.endsWith('\r\x1b[K')).toBe(true);
  });

  it('writes each event as a line of JSON on stdout, and nothing to stderr', () => {
    const { stdout, stderr } = report({ json: true }, { terminal: { columns: 80 } });
    const lines = stdout.split('\n').slice(0, -1);
    expect(lines.map((line) => JSON.parse(line))).toEqual(
      [PLAN, ...WORK, { ...SUMMARY, result: 'done' }].map((event) => ({ version: 1, ...event })),
    );
    expect(stderr).toBe('');
  });

  it('says only warnings when it shall be quiet', () => {
    const events = [PLAN, ...WORK, { type: 'warning', message: 'mind the gap' } as const, SUMMARY];
    for (const terminal of [undefined, { columns: 80 }]) {
      expect(report({ quiet: true }, { terminal, events }).stderr).toBe('warning: mind the gap\n');
    }
  });

  it('tells a warning once, also as JSON', () => {
    const [gone, other]: WorkEvent[] = ['is gone', 'is slow'].map((message) => ({ type: 'warning', message }));
    const events = [PLAN, gone!, gone!, other!, gone!];
    expect(report({ quiet: true }, { events }).stderr).toBe('warning: is gone\nwarning: is slow\n');
    const lines = report({ json: true }, { events }).stdout.split('\n').slice(0, -1);
    expect(lines.map((line) => JSON.parse(line))).toEqual(
      [PLAN, gone, other].map((event) => ({ version: 1, ...event })),
    );
  });

  it('names each path when it shall be verbose, without a live line', () => {
    const { stderr } = report({ verbose: 1 }, { terminal: { columns: 80 } });
    expect(stderr).toBe(`${PLAN_TEXT}${LARGE} (100.0 MiB)\n${SMALL} (1.0 MiB)\n${SUMMARY_TEXT}`);
  });

  it.each([
    ['in CI', { CI: 'true' }],
    ['on a dumb terminal', { TERM: 'dumb' }],
    ['when told so', { CARPORT_PROGRESS: 'plain' }],
  ])('writes no control characters %s', (_, env) => {
    const { stderr } = report({}, { env, terminal: { columns: 80 } });
    expect(stderr).toBe(`${PLAN_TEXT}${LARGE} (100.0 MiB)\n${SUMMARY_TEXT}`);
  });

  it('obeys CARPORT_PROGRESS, and refuses what it does not know', () => {
    expect(report({}, { env: { CARPORT_PROGRESS: 'tty' } }).stderr).toContain('\r\x1b[K');
    expect(report({}, { env: { CARPORT_PROGRESS: 'none' } }).stderr).toBe(PLAN_TEXT + SUMMARY_TEXT);
    expect(report({}, { env: { CARPORT_PROGRESS: '' } }).stderr).toContain(LARGE);
    expectError('E_USAGE', 'CARPORT_PROGRESS=`loud`', () => report({}, { env: { CARPORT_PROGRESS: 'loud' } }));
  });

  it('counts in words: one path, several, nothing', () => {
    const plan: WorkEvent = {
      type: 'plan',
      verb: 'pull',
      paths: 1,
      present: 0,
      skipped: 0,
      transfer: 1,
      narSize: 500,
      storePaths: [],
    };
    const none: WorkEvent = {
      ...{ type: 'summary', verb: 'pull', paths: 2, present: 2, skipped: 0, transferred: 0, signed: 0 },
      ...{ narSize: 0, fileSize: 0, storePaths: [] },
    };
    const signed: WorkEvent = { ...none, verb: 'push', signed: 2 } as WorkEvent;
    expect(report({}, { events: [plan, none, signed] }).stderr).toBe(
      [
        '1 path: 0 already here, 1 to fetch (500 B)\n',
        'pulled 0 paths, 2 were there\n',
        'pushed 0 paths, 2 were there, 2 signed\n',
      ].join(''),
    );
  });
});

interface Surroundings {
  readonly env?: NodeJS.ProcessEnv;
  readonly terminal?: { readonly columns: number } | undefined;
  /** Milliseconds between events. */
  readonly step?: number;
  readonly events?: readonly WorkEvent[];
}
