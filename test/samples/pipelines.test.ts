import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { type EventName, environmentOf, SECRETS, SYSTEMS, type System, TARGETS } from './occasions.js';
import { type Occasion, readSample, SAMPLES } from './pipelines.js';

describe.each(SYSTEMS)('the sample pipeline for %s', (system) => {
  const files = SAMPLES[system].files.map(readSample);

  it('runs the jobs that belong to an event, and none for a pull request', () => {
    const builds = system === 'drone' ? TARGETS : ['release'];
    const manual = system === 'gitlab' ? ['promote'] : [];
    expect(jobNames(system, 'main')).toEqual([...builds, 'index']);
    expect(jobNames(system, 'tag')).toEqual([...builds, 'index', ...manual]);
    expect(jobNames(system, 'cron')).toEqual([system === 'gitlab' ? 'index' : 'refresh']);
    expect(jobNames(system, 'promotion')).toEqual(system === 'gitlab' ? [...builds, 'index', 'promote'] : ['promote']);
    expect(jobNames(system, 'pull')).toEqual([]);
  });

  it('builds all targets that the settings ask for, and waits for them', () => {
    const jobs = SAMPLES[system].jobsFor({ env: environmentOf(system, 'main'), secrets: {} });
    const builds = jobs.filter(({ name }) => name !== 'index');
    expect(builds.map(({ steps }) => steps.at(-1)!.env.TARGET ?? steps[0]!.env.TARGET)).toEqual(TARGETS);
    const [index] = jobs.filter(({ name }) => name === 'index');
    expect(index!.needs).toEqual([...new Set(builds.map(({ name }) => name))]);
  });

  it('takes images and actions by version', () => {
    const images = files.join('\n').match(/(?<=image: )\S+/g) ?? [];
    expect(images.filter((image) => !/^[a-z]+:\d+\.\d+\.\d+-\w+$/.test(image))).toEqual([]);
    expect(files.join('\n')).toMatch(/image: |setup-node@/);
  });

  it('has no secret on a line, and no text of others', () => {
    const occasions = (['main', 'tag', 'cron', 'promotion'] as const).map((event) => ({
      env: environmentOf(system, event),
      secrets: {},
      cron: 'refresh-index',
    }));
    const scripts = occasions.flatMap((occasion) =>
      SAMPLES[system].jobsFor(occasion).flatMap(({ steps }) => steps.map(({ script }) => script)),
    );
    expect(scripts.length).toBeGreaterThan(5);
    for (const script of scripts) {
      expect(script).not.toMatch(/RELEASE_KEY|AWS_|\$\{\{|set -x|printenv/);
      expect(spawnSync('sh', ['-n'], { input: script }).status, script).toBe(0);
    }
  });

  it('gives secrets to no step that runs what the project says', () => {
    if (system === 'gitlab') return;
    const jobs = SAMPLES[system].jobsFor({ env: environmentOf(system, 'main'), secrets: SECRETS });
    const build = jobs.flatMap(({ steps }) => steps).filter(({ script }) => script.includes('make '));
    expect(build).toHaveLength(4);
    for (const { env } of build) expect(Object.keys(env)).toEqual(['TARGET']);
  });
});

it('Drone finds nothing to replace in its sample', () => {
  expect(readSample('.drone.yml')).not.toContain('${');
});

/** Names of jobs, without those that wait for a button in GitLab unless that is what happens. */
function jobNames(system: System, event: EventName, occasion: Partial<Occasion> = {}): readonly string[] {
  const env = environmentOf(system, event);
  const jobs = SAMPLES[system].jobsFor({
    env,
    secrets: {},
    ...(event === 'cron' && { cron: 'refresh-index' }),
    ...occasion,
  });
  return [...new Set(jobs.map(({ name }) => name))];
}
