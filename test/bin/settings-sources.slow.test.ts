import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type GivenSettings, readSettings } from '#bin/settings/read.js';
import { useSandbox } from '../support/sandbox.js';

describe('where a setting is from', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'carport-settings-'));
    await mkdir(join(root, 'work/.git'), { recursive: true });
    await mkdir(join(root, 'config/carport'), { recursive: true });
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  const project = () => join(root, 'work/carport.toml');
  const user = () => join(root, 'config/carport/config.toml');
  const read = (options: GivenSettings, env: Record<string, string> = {}) =>
    readSettings(options, {
      env: { HOME: root, XDG_CONFIG_HOME: join(root, 'config'), ...env },
      cwd: () => join(root, 'work'),
    });

  it('is the first of option, variable, project and user', async () => {
    await writeFile(user(), 'jobs = 4\n');
    const jobs = async (options: GivenSettings = {}, env = {}) => {
      const { value, origin } = (await read(options, env)).jobs;
      return [value, origin.kind, origin.name];
    };
    expect(await jobs()).toEqual([4, 'file', user()]);
    await writeFile(project(), 'jobs = 3\n');
    expect(await jobs()).toEqual([3, 'file', project()]);
    const env = { CARPORT_JOBS: '2' };
    expect(await jobs({}, env)).toEqual([2, 'variable', 'CARPORT_JOBS']);
    expect(await jobs({ jobs: ['1'] }, env)).toEqual([1, 'option', '--jobs']);
    expect((await read({})).level).toMatchObject({ texts: [], value: undefined, origin: { kind: 'default' } });
  });

  it('is named by the error of a wrong value, and stops nobody who does not use it', async () => {
    const message = async (options: GivenSettings, env = {}) => {
      const settings = await read(options, env);
      expect(settings.level.value).toBeUndefined();
      try {
        return settings.jobs.value;
      } catch (error) {
        return (error as Error).message;
      }
    };
    const wrong = (place: string) => `\`0\` (${place}) is not a number of jobs from 1 to 256`;
    await writeFile(user(), 'jobs = 0\n');
    expect(await message({})).toBe(wrong(`jobs in ${user()}`));
    await writeFile(project(), 'jobs = 0\n');
    expect(await message({})).toBe(wrong(`jobs in ${project()}`));
    expect(await message({}, { CARPORT_JOBS: '0' })).toBe(wrong('CARPORT_JOBS'));
    expect(await message({ jobs: ['0'] }, { CARPORT_JOBS: '1' })).toBe(wrong('--jobs'));
  });

  it('is split into a list by white space, but by lines where its values have some', async () => {
    const settings = await read(
      {},
      { CARPORT_REQUIRED_TARGETS: ' a\tb\nc ', CARPORT_GATE_COMMANDS: 'make a\n\nmake b\n' },
    );
    expect(settings['required-targets'].value).toEqual(['a', 'b', 'c']);
    expect(settings['gate-commands'].value).toEqual(['make a', 'make b']);
  });
});

describe('a command', () => {
  const box = useSandbox();

  it.each([
    [['cache', 'init', '/c', '--priority', '1000001'], '`1000001` (--priority) is not a number from 0 to 1000000'],
    [
      ['push', 'x', '--to', '/c', '--pin', 'a', '--keep-history', 'all'],
      '`all` (--keep-history) is not a number from 0 to 1000',
    ],
    [['push', 'x', '--to', '/c', '--pin', 'a', '--expires', 'soon'], '`--expires soon`: that is no time'],
    [['store', 'ls', '--store', 'daemon'], '`daemon` (--store) is a name of Nix'],
    [['release', 'prune', '--keep', '1', '--grace', 'long'], '`long` (--grace) is no span of time'],
    [['closure', './x', '--from', 'ftp://host'], '(--from)'],
    [['key', 'verify', './x', '--minisign-key', 'AAAA'], 'a key of `--minisign-key` is not a public key of minisign'],
  ])('says what is wrong with an option, with a hint: %j', async (args, message) => {
    const { exitCode, stdout, stderr } = await box().carport(args);
    expect([exitCode, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
    expect(stderr).toContain('\nhint: ');
  });

  it('is not stopped by a wrong value that it does not use, nor a wrong default', async () => {
    const env = { CARPORT_JOBS: 'many', CARPORT_RETRY_SECONDS: 'long', CARPORT_TO: 'ftp://host', CARPORT_LEVEL: 'x' };
    expect((await box().carport(['store', 'ls'], { env })).exitCode).toBe(0);
    await box().succeed(['cache', 'init', box().path('cache')]);
    const used = { CARPORT_TO: 'ftp://host', CARPORT_JOBS: 'many' };
    expect((await box().carport(['pin', 'ls', '--from', box().path('cache')], { env: used })).exitCode).toBe(0);
    expect((await box().carport(['cache', 'info', box().path('cache')], { env })).stderr).toContain(
      '`long` (CARPORT_RETRY_SECONDS)',
    );
  });

  it('takes the closure that an option implies, but for one that is given', async () => {
    await mkdir(box().path('work/tree'));
    const { stdout } = await box().succeed(['store', 'add', 'tree']);
    const push = (...more: readonly string[]) =>
      box().carport(['push', stdout.trim(), '--to', box().path('other'), '--toolchain-only', '--dry-run', ...more]);
    expect((await push('--closure', 'runtime')).stderr).toContain('not for `--closure runtime`');
    expect((await push()).stderr).not.toContain('--closure');
  });
});
