import { rm, truncate, writeFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { useSampleCache } from '../support/sample-cache.js';
import type { SampleStore } from '../support/samples.js';
import { useSandbox } from '../support/sandbox.js';
import { narInfosOf } from '../support/transfers.js';

describe('a cache that has lost a NAR', () => {
  const sample = useSampleCache();
  const box = useSandbox();
  let samples: SampleStore;
  let trust: readonly string[];
  let [broken, whole]: string[] = [];
  let nar: string;
  beforeEach(async () => {
    ({ samples } = sample());
    trust = ['--trusted-key', sample().keyFile.publicKey];
    broken = await sample().copy(box().path('broken'));
    whole = await sample().copy(box().path('whole'));
    nar = `${broken}/${(await narInfosOf(broken)).get(samples.middle.path)!.url}`;
  });

  const dryRun = (caches: readonly string[], ...more: readonly string[]) =>
    box().carport([
      'pull',
      samples.top.path,
      ...caches.flatMap((cache) => ['--from', cache]),
      ...trust,
      '--dry-run',
      ...more,
    ]);

  it('is told by a dry run of a pull as by the pull, and not when another cache has it', async () => {
    await rm(nar);
    const ran = await dryRun([broken!]);
    expect([ran.exitCode, ran.stdout]).toEqual([5, '']);
    expect(ran.stderr).toContain(`has a narinfo of \`${samples.middle.path}\`, but not its NAR`);
    expect(ran.stderr).toContain('--check-all');
    const real = await box().carport(['pull', samples.top.path, '--from', broken!, ...trust]);
    const errorOf = (stderr: string) => stderr.slice(stderr.indexOf('error['));
    expect([real.exitCode, errorOf(real.stderr)]).toEqual([5, errorOf(ran.stderr)]);
    const json = await dryRun([broken!], '--json');
    expect(JSON.parse(json.stderr.trim().split('\n').at(-1)!)).toMatchObject({ code: 'E_NOT_FOUND', exitCode: 5 });
    const both = await dryRun([broken!, whole!], '--store', box().path('other'));
    expect([both.exitCode, both.lines]).toEqual([0, samples.paths]);
    expect(both.stderr).toContain('but not its NAR; trying the next cache');
    // What is here already is not looked for.
    await box().succeed(['pull', samples.top.path, '--from', whole!, ...trust]);
    expect((await dryRun([broken!])).exitCode).toBe(0);
  });

  it.each([
    ['empty', (file: string) => writeFile(file, '')],
    ['cut off', (file: string) => truncate(file, 10)],
  ])('or has one that is %s, too', async (_, spoil) => {
    await spoil(nar);
    const ran = await dryRun([broken!]);
    expect([ran.exitCode, ran.stdout]).toEqual([6, '']);
    expect(ran.stderr).toContain(`the NAR of \`${samples.middle.path}\` in \`file://${broken}\` is not whole`);
    expect((await box().carport(['cache', 'info', broken!])).exitCode).toBe(6);
  });

  it('is told by `cache info`, which says all the same what it is', async () => {
    await rm(nar);
    const { exitCode, stdout, stderr } = await box().carport(['cache', 'info', broken!]);
    expect([exitCode, stdout]).toEqual([
      5,
      (await box().carport(['cache', 'info', whole!])).stdout.replace(whole!, broken!),
    ]);
    expect(stderr).toContain(`lacks the NAR of \`${samples.middle.path}\`, of 3 paths`);
    await rm(`${broken}/nar`, { recursive: true });
    const json = await box().carport(['cache', 'info', broken!, '--json']);
    expect(json.exitCode).toBe(5);
    expect(JSON.parse(json.stdout)).toMatchObject({ paths: 3 });
    expect(json.stderr).toMatch(/lacks the NAR of `.*` and of 2 other paths, of 3 paths/);
    await box().succeed(['cache', 'info', whole!]);
  });

  it('is told by `cache cat` as by a pull, and `cache ls` warns', async () => {
    await rm(nar);
    const cat = await box().carport(['cache', 'cat', broken!, `${samples.middle.path}/bin/run`, ...trust]);
    expect([cat.exitCode, cat.stdout]).toEqual([5, '']);
    expect(cat.stderr).toContain('but not its NAR');
    const ls = await box().succeed(['cache', 'ls', broken!, samples.middle.path]);
    expect(ls.stderr).toContain(`warning: the NAR of \`${samples.middle.path}\` is not in`);
    expect((await box().succeed(['cache', 'ls', whole!, samples.middle.path])).stderr).toBe('');
  });

  it('gets no pin for it, and `pin ls` says that one cannot be pulled', async () => {
    const set = () =>
      box().carport([
        'pin',
        'set',
        'tool',
        samples.middle.path,
        '--to',
        broken!,
        '--secret-key',
        sample().keyFile.file,
      ]);
    const states = async (...from: readonly string[]) =>
      (await box().succeed(['pin', 'ls', ...from.flatMap((cache) => ['--from', cache]), ...trust])).lines.map((line) =>
        line.split(/ {2}/).at(-2),
      );
    expect((await set()).exitCode).toBe(0);
    expect(await states(broken!)).toEqual(['good']);
    await rm(nar);
    expect(await states(broken!)).toEqual(['paths-missing']);
    expect(await states(broken!, whole!)).toEqual(['good']);
    expect(await set()).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('but not its NAR') });
  });
});
