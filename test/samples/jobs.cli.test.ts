import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { hashesIn } from '../support/releases.js';
import { CANDIDATE, type EventName, environmentOf, SYSTEMS, TARGETS } from './occasions.js';
import { type Occasion, SAMPLES } from './pipelines.js';
import { createRunner, type Runner, SMUGGLED } from './project.js';

describe.each(SYSTEMS)('the jobs of the sample pipeline for %s', (system) => {
  let runner: Runner;
  beforeAll(async () => {
    runner = await createRunner();
  });
  afterAll(() => runner.remove());

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

  describe('of a project whose build is hostile', () => {
    let victim: Runner;
    beforeEach(async () => {
      victim = await createRunner();
    });
    afterEach(() => victim.remove());

    const publish = () => {
      const env = environmentOf(system, 'tag', { commit: victim.commit });
      const jobs = SAMPLES[system].jobsFor({ env, secrets: victim.secrets });
      return victim.run(
        jobs.filter(({ name }) => name !== 'promote'),
        env,
      );
    };

    it('give it no secret, whatever it writes over', async () => {
      const loot = victim.box.path('loot');
      const theft = `{ env; cat "\${CARPORT_SECRET_KEY_FILES:-/dev/null}"; } >> ${loot}`;
      const names = 'ci/install-carport.sh ci/with-release-key.sh .git/hooks/post-checkout bin/carport bin/git bin/sh';
      await victim.makeAlso([
        `for top in . ${SMUGGLED}; do`,
        `  for name in ${names}; do`,
        '    mkdir -p "$(dirname "$top/$name")"',
        `    printf '#!/bin/sh\\n%s\\n' '${theft}' > "$top/$name"`,
        '    chmod +x "$top/$name"',
        '  done',
        '  echo "stolen = true" > "$top/carport.toml"',
        '  printf "[core]\\n\\tfsmonitor = $PWD/bin/git\\n\\tsshCommand = $PWD/bin/git\\n" >> "$top/.git/config"',
        'done',
        '[ -z "$GITHUB_PATH" ] || echo "$PWD/bin" >> "$GITHUB_PATH"',
      ]);
      await publish();
      expect(await readdir(join(victim.bucket, '_releases', CANDIDATE))).toEqual(TARGETS);
      const stolen = await readFile(loot, 'utf8').catch(() => '');
      for (const secret of Object.values(victim.secrets)) expect(stolen).not.toContain(secret);
    });

    it('publish nothing to which it makes a link', async () => {
      await victim.makeAlso([
        `mkdir -p ${SMUGGLED}/built/$TARGET`,
        `for name in result/bin/tool ${SMUGGLED}/tool ${SMUGGLED}/built/$TARGET/tool; do`,
        '  ln -sf /proc/self/environ "$name"',
        'done',
      ]);
      await expect(publish()).rejects.toThrow(/exited with 1/);
      expect(existsSync(victim.bucket)).toBe(false);
    });
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
