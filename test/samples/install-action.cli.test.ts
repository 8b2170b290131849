import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, it } from 'vitest';
import { TOP } from '../support/markdown.js';
import { useSandbox } from '../support/sandbox.js';

const box = useSandbox();

it('what `action.yml` is to fetch is fetched and checked, although there is a carport', async () => {
  const [fetched, paths] = [box().path('work/fetched'), box().path('work/paths')];
  await writeFile(fetched, '#!/bin/sh\n');
  await writeFile(box().path('bin/carport'), '#!/bin/sh\n', { mode: 0o755 });
  const install = async (env: Readonly<Record<string, string>>) => {
    await writeFile(paths, '');
    const { exitCode } = await execa('/bin/sh', [join(TOP, '.ci/install')], {
      ...{ extendEnv: false, reject: false },
      env: { PATH: `${box().path('bin')}:/usr/bin:/bin`, RUNNER_TEMP: box().path('work'), GITHUB_PATH: paths, ...env },
    });
    return [exitCode, await readFile(paths, 'utf8')];
  };
  const file = { CARPORT_FILE: `file://${fetched}` };
  const hash = createHash('sha256').update('#!/bin/sh\n').digest('hex');
  expect(await install({ ...file, CARPORT_SHA256: hash })).toEqual([0, `${box().path('work/carport-bin')}\n`]);
  expect(await install({ ...file, CARPORT_SHA256: '0'.repeat(64) })).toEqual([1, '']);
  expect(await install({ CARPORT_SHA256: hash })).toEqual([2, '']);
  expect(await install({})).toEqual([0, '']);
});
