import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { type EventName, environmentOf, SECRETS, SYSTEMS, type System, TARGETS } from './occasions.js';
import { type Occasion, readSample, SAMPLES } from './pipelines.js';

describe.each(SYSTEMS)('the sample pipeline for %s', (system) => {
  const files = SAMPLES[system].files.map(readSample);

  it('runs the jobs that belong to an event, and none for a pull request', () => {
    const pushed = {
      drone: [...TARGETS, 'index'],
      woodpecker: ['release', 'index'],
      github: ['build', 'publish'],
      forgejo: ['build', 'publish'],
      gitlab: ['build', 'publish'],
    }[system];
    const promoted = system === 'gitlab' ? [...pushed, 'promote'] : ['promote'];
    expect(jobNames(system, 'main')).toEqual(pushed);
    expect(jobNames(system, 'tag')).toEqual(system === 'gitlab' ? promoted : pushed);
    expect(jobNames(system, 'cron')).toEqual(['refresh']);
    expect(jobNames(system, 'promotion')).toEqual(promoted);
    expect(jobNames(system, 'pull')).toEqual([]);
  });

  it('builds all targets that the settings ask for, and waits for them', () => {
    const jobs = SAMPLES[system].jobsFor({ env: environmentOf(system, 'main'), secrets: {} });
    const builds = jobs.filter(({ steps }) => steps.some(({ script }) => script.includes('make ')));
    expect(builds.map(({ steps }) => steps[0]!.env.TARGET)).toEqual(TARGETS);
    const [last] = jobs.slice(builds.length);
    expect(last!.steps.at(-1)!.script).toContain('carport index publish');
    expect(last!.needs).toEqual([...new Set(builds.map(({ name }) => name))]);
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
    const jobs = SAMPLES[system].jobsFor({ env: environmentOf(system, 'main'), secrets: SECRETS });
    const build = jobs.flatMap(({ steps }) => steps).filter(({ script }) => script.includes('make '));
    expect(build).toHaveLength(4);
    for (const { env } of build) expect(Object.keys(env)).toEqual(['TARGET']);
  });

  it('publishes nothing of a tag that is not protected', () => {
    expect(jobNames(system, 'tag', { env: environmentOf(system, 'tag', { tag: 'nightly-1' }) })).toEqual([]);
  });
});

it.each(['github', 'forgejo'] as const)('the sample for %s promotes by the gates of `main` only', (system) => {
  const env = { ...environmentOf(system, 'promotion'), GITHUB_REF: 'refs/heads/mine' };
  expect(jobNames(system, 'promotion', { env })).toEqual([]);
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
