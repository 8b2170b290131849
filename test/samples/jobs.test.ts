import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hashesIn } from '../support/releases.js';
import { CANDIDATE, type EventName, environmentOf, SYSTEMS, TARGETS } from './occasions.js';
import { type Occasion, SAMPLES } from './pipelines.js';
import { createRunner, type Runner } from './project.js';

describe.each(SYSTEMS)('the jobs of the sample pipeline for %s', (system) => {
  let runner: Runner;
  beforeAll(async () => {
    runner = await createRunner();
  });
  afterAll(() => runner.box.remove());

  const occasion = (event: EventName, more: Partial<Occasion> = {}): Occasion => ({
    env: environmentOf(system, event, { commit: runner.commit }),
    secrets: runner.secrets,
    ...more,
  });
  const jobsFor = (event: EventName, more: Partial<Occasion> = {}) => SAMPLES[system].jobsFor(occasion(event, more));
  const index = async () => JSON.parse(await readFile(join(runner.bucket, 'releases/index.json'), 'utf8'));

  it('publish all targets of a tag, and the index', async () => {
    const jobs = jobsFor('tag').filter(({ name }) => name !== 'promote');
    await runner.run(jobs, occasion('tag').env);
    const { releases } = await index();
    expect(releases).toHaveLength(1);
    expect(releases[0]).toMatchObject({
      version: CANDIDATE,
      channel: 'extra',
      state: 'available',
      commit: runner.commit,
    });
    expect(releases[0].ci).toMatchObject({ system, runUrl: expect.stringContaining('https://') });
    expect(releases[0].targets.map(({ target }: { target: string }) => target)).toEqual(TARGETS);
    expect(releases[0].missingTargets).toEqual([]);
    for (const target of TARGETS) {
      const file = join(runner.bucket, '_releases', CANDIDATE, target, 'tool');
      expect(await readFile(file, 'utf8')).toBe(`result/bin/tool for ${target}\n`);
    }
    for (const name of ['_releases.html', '_releases.json', 'releases/index.json.minisig']) {
      expect(existsSync(join(runner.bucket, name)), name).toBe(true);
    }
  });

  const promotion = () => ({
    jobs: jobsFor('promotion', { inputs: { version: CANDIDATE } }).filter(({ name }) => name === 'promote'),
    env: occasion('promotion').env,
  });

  it('promote nothing that is too young', async () => {
    const before = await hashesIn(runner.bucket);
    const { jobs, env } = promotion();
    await expect(runner.run(jobs, env)).rejects.toThrow(/exited with 1:[\s\S]*error\[E_GATE\]/);
    expect(await hashesIn(runner.bucket)).toEqual(before);
  });

  it('promote what passes the gates, and publish that', async () => {
    const { jobs, env } = promotion();
    const output = await runner.run(jobs, { ...env, CARPORT_MINIMUM_AGE: '0' });
    for (const gate of ['required-targets', 'minimum-age', 'ancestor', 'hashes', 'command']) {
      expect(output).toMatch(new RegExp(`^passed +${gate}\\b`, 'm'));
    }
    const { releases } = await index();
    expect(releases.map(({ version }: { version: string }) => version)).toEqual(['v1.2.0', CANDIDATE]);
    expect(releases[0]).toMatchObject({ channel: 'stable', promotedFrom: { version: CANDIDATE } });
    const latest = JSON.parse(await readFile(join(runner.bucket, 'releases/latest/stable.json'), 'utf8'));
    expect(latest.release.version).toBe('v1.2.0');
  });

  it('publish a commit as a development build', async () => {
    await runner.run(jobsFor('main'), occasion('main').env);
    const { releases } = await index();
    expect(releases[2]).toMatchObject({ version: runner.commit, channel: 'development', commit: runner.commit });
    expect(releases[2].targets).toHaveLength(TARGETS.length);
  });

  it('publish the index again', async () => {
    await runner.box.succeed([
      'release',
      'yank',
      CANDIDATE,
      '--reason',
      'replaced',
      '--to',
      `file://${runner.bucket}`,
      '--secret-key',
      runner.key.file,
    ]);
    await runner.run(jobsFor('cron', { cron: 'refresh-index' }), occasion('cron').env);
    const { releases } = await index();
    expect(releases[1]).toMatchObject({ version: CANDIDATE, state: 'yanked' });
  });
});
