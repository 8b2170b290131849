import { join } from 'node:path';
import { execa } from 'execa';
import { beforeAll, describe, expect, it } from 'vitest';
import { TOP } from '../support/markdown.js';
import { useSandbox } from '../support/sandbox.js';
import { program } from './project.js';

/** What the plugin runs, seen by a carport that tells its words and the variables that it has. */
describe('the plugin of Woodpecker and Drone', () => {
  const box = useSandbox('all');
  beforeAll(() =>
    program(box().path('bin/carport'), [
      'for word in "$@"; do printf "[%s]" "$word"; done; echo',
      'env | grep -E "^(CARPORT|AWS|PLUGIN)_" | LC_ALL=C sort',
    ]),
  );

  const plugin = (settings: Readonly<Record<string, string>>, ...words: readonly string[]) =>
    execa('/bin/sh', [join(TOP, '.ci/plugin'), ...words], {
      ...{ cwd: box().path('work'), extendEnv: false, reject: false },
      env: { PATH: `${box().path('bin')}:/usr/bin:/bin`, ...settings },
    });

  it('pushes lists of paths, with names, and gives secrets by the environment', async () => {
    const { stdout } = await plugin({
      ...{ PLUGIN_TO: 's3://nix?region=garage', PLUGIN_PATHS: './result,--odd,a*b', PLUGIN_PIN: 'main,tool main' },
      ...{
        PLUGIN_SIGNING_KEY: 'k-1:c2VjcmV0',
        PLUGIN_ACCESS_KEY: 'GK1',
        PLUGIN_SECRET_KEY: 'c2',
        PLUGIN_CLOSURE: 'build',
      },
      ...{ PLUGIN_TRUSTED_KEYS: 'a-1:AA=,b-1:BB=' },
    });
    expect(stdout.split('\n')).toEqual([
      '[push][--pin][main][--pin][tool main][--closure][build][--skip-without-key][--][./result][--odd][a*b]',
      'AWS_ACCESS_KEY_ID=GK1',
      'AWS_SECRET_ACCESS_KEY=c2',
      'CARPORT_SECRET_KEY=k-1:c2VjcmV0',
      'CARPORT_TO=s3://nix?region=garage',
      'CARPORT_TRUSTED_KEYS=a-1:AA= b-1:BB=',
      ...['CLOSURE=build', 'PATHS=./result,--odd,a*b', 'PIN=main,tool main', 'TO=s3://nix?region=garage'].map(
        (each) => `PLUGIN_${each}`,
      ),
      'PLUGIN_TRUSTED_KEYS=a-1:AA=,b-1:BB=',
    ]);
  });

  it('builds under watch, and takes the settings of plugins for S3', async () => {
    const settings = { PLUGIN_BUCKET: 'nix', PLUGIN_ENDPOINT: 'https://garage.example.org', PLUGIN_REGION: 'garage' };
    const { stdout } = await plugin({ ...settings, PLUGIN_BUILD: 'nix-build && echo "done"', PLUGIN_STRICT: 'true' });
    expect(stdout).toContain('[watch][--skip-without-key][--strict][--][sh][-ec][nix-build && echo "done"]');
    expect(stdout).toContain('CARPORT_TO=s3://nix?region=garage&endpoint=https://garage.example.org');
  });

  it('takes `false` for false', async () => {
    const build = { PLUGIN_TO: '/srv/cache', PLUGIN_BUILD: 'make' };
    for (const [strict, words] of [
      ...['true', 'Yes', '1'].map((each) => [each, '[--strict]']),
      ...['false', 'False', 'off', '0', ''].map((each) => [each, '']),
    ]) {
      const { stdout } = await plugin({ ...build, PLUGIN_STRICT: strict ?? '' });
      expect(stdout.split('\n')[0], strict).toBe(`[watch][--skip-without-key]${words}[--][sh][-ec][make]`);
    }
    const { exitCode, stderr } = await plugin({ ...build, PLUGIN_STRICT: 'perhaps' });
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining('`strict` is `perhaps`')]);
  });

  it('says what is missing, and runs other commands of the image', async () => {
    const told = async (settings: Readonly<Record<string, string>>) => {
      const { exitCode, stderr, stdout } = await plugin(settings);
      expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
      return stderr;
    };
    expect(await told({ PLUGIN_PATHS: 'result' })).toContain('the setting `to` is missing');
    expect(await told({ PLUGIN_TO: '/srv/cache' })).toContain('nothing to do');
    expect(await told({ PLUGIN_TO: '/srv/cache', PLUGIN_BUILD: 'make', PLUGIN_PIN: 'main' })).toContain(
      '`pin` is a name',
    );
    expect((await plugin({}, 'echo', 'a  b')).stdout).toBe('a  b');
  });
});
