import { beforeAll, describe, expect, it } from 'vitest';
import { createSampleStore, type SampleStore } from '../support/samples.js';
import { type KeyFile, type Ran, useSandbox } from '../support/sandbox.js';

/** The lines of a long command. */
function events({ lines }: Ran): readonly Record<string, unknown>[] {
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('--json', () => {
  const shared = useSandbox('all');
  const box = useSandbox();
  let samples: SampleStore;
  let key: KeyFile;
  beforeAll(async () => {
    samples = await createSampleStore(shared().root);
    key = await shared().makeKey('test-1');
  });
  const push = (...more: readonly string[]) =>
    box().carport(['push', samples.top.path, '--store', samples.root, '--to', box().path('cache'), '--json', ...more]);
  const pull = (...more: readonly string[]) =>
    box().carport(['pull', samples.top.path, '--from', box().path('cache'), '--json', ...more]);
  const narSize = () => samples.base.narSize + samples.middle.narSize + samples.top.narSize;

  it.each(['push', 'pull'])(
    'makes %s write lines: the plan first, the summary last, nothing to stderr',
    async (verb) => {
      const pushed = await push('--secret-key', key.file);
      const ran = verb === 'push' ? pushed : await pull('--trusted-key', key.publicKey);
      expect([ran.exitCode, ran.stderr]).toEqual([0, '']);
      const [plan, ...rest] = events(ran);
      const summary = rest.at(-1);
      for (const event of events(ran)) expect(event.version).toBe(1);
      expect(plan).toMatchObject({ type: 'plan', verb, paths: 3, present: 0, transfer: 3, narSize: narSize() });
      expect(plan!.storePaths).toEqual(samples.paths);
      expect(summary).toMatchObject({ type: 'summary', verb, paths: 3, present: 0, transferred: 3, signed: 0 });
      expect(summary).toMatchObject({ narSize: narSize(), fileSize: expect.any(Number), storePaths: samples.paths });
      const of = (type: string) => rest.filter((event) => event.type === type);
      expect(
        of('path-started')
          .map(({ path }) => path)
          .sort(),
      ).toEqual([...samples.paths].sort());
      expect(
        of('path-finished')
          .map(({ path }) => path)
          .sort(),
      ).toEqual([...samples.paths].sort());
      expect(of('progress').reduce((sum, { bytes }) => sum + (bytes as number), 0)).toBe(narSize());
      const types = new Set(rest.map(({ type }) => type));
      expect([...types].sort()).toEqual(['path-finished', 'path-started', 'progress', 'summary']);
    },
  );

  it('makes a dry run write the plan alone', async () => {
    const { exitCode, lines } = await push('--dry-run', '--secret-key', key.file);
    expect([exitCode, lines.length]).toEqual([0, 1]);
    expect(JSON.parse(lines[0]!)).toMatchObject({ type: 'plan', storePaths: samples.paths });
  });

  it('makes warnings events', async () => {
    const { stderr, ...ran } = await push();
    expect(stderr).toBe('');
    expect(events(ran as Ran)).toContainEqual({
      version: 1,
      type: 'warning',
      message: expect.stringContaining('signed'),
    });
  });

  it('makes a failure the last line, on stderr', async () => {
    await push();
    const { exitCode, stderr, stdout } = await pull();
    expect([exitCode, stdout]).toEqual([6, '']);
    expect(JSON.parse(stderr)).toEqual({
      ...{ type: 'error', code: 'E_SIGNATURE', exitCode: 6 },
      message: expect.stringContaining('is not signed by a trusted key'),
      causes: ['it has no signature'],
      hint: expect.stringContaining('--allow-unsigned'),
    });
  });
});
