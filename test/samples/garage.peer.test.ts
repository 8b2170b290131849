import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithGarage, useGarage } from '../support/garage.js';
import { CANDIDATE, environmentOf, TARGETS } from './occasions.js';
import { SAMPLES } from './pipelines.js';
import { createRunner, type Runner } from './project.js';

describeWithGarage('a sample pipeline on Garage', () => {
  const garage = useGarage();
  let runner: Runner;
  let bucket: string;
  beforeAll(async () => {
    bucket = await garage().freshBucket();
    const { AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '' } = garage().env;
    const secrets = { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY };
    runner = await createRunner({ to: garage().url(bucket), secrets });
  });
  afterAll(() => runner.remove());

  it('publishes and promotes what users then fetch by its address', async () => {
    const { jobsFor } = SAMPLES.woodpecker;
    for (const event of ['tag', 'promotion'] as const) {
      const env = { ...environmentOf('woodpecker', event, { commit: runner.commit }), CARPORT_MINIMUM_AGE: '0' };
      await runner.run(jobsFor({ env, secrets: runner.secrets }), env);
    }
    const site = await garage().serve(bucket);
    const { releases } = (await (await fetch(`${site}/releases/index.json`)).json()) as {
      readonly releases: readonly { readonly version: string }[];
    };
    expect(releases.map(({ version }) => version)).toEqual(['v1.2.0', CANDIDATE]);
    for (const target of TARGETS) {
      const response = await fetch(`${site}/releases/latest/stable/${target}/tool`);
      expect([response.redirected, response.headers.get('cache-control')]).toEqual([false, 'no-cache']);
      expect(await response.text()).toBe(`result/bin/tool for ${target}\n`);
    }
  });
});
