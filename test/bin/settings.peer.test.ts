import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { useSandbox } from '../support/sandbox.js';

interface Shown {
  readonly key: string;
  readonly value: string | readonly string[] | null;
  readonly origin: string;
}

describe('settings', () => {
  const box = useSandbox();
  const project = () => box().path('work/carport.toml');
  const user = () => box().path('config/carport/config.toml');
  const write = async (file: string, text: string) => {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  };
  const show = async (env: Record<string, string> = {}, cwd?: string) => {
    const { stdout } = await box().succeed(['config', 'show', '--json'], { env, ...(cwd && { cwd }) });
    const { settings } = JSON.parse(stdout) as { settings: Shown[] };
    return Object.fromEntries(settings.map(({ key, value, origin }) => [key, [value, origin]]));
  };

  it('are empty where nobody sets them, whatever the user of this machine has', async () => {
    const shown = await show();
    expect(Object.keys(shown).sort()).toEqual([
      ...[
        'accent-color',
        'accent-color-dark',
        'ancestor-of',
        'base-url',
        'cache',
        'compression',
        'forge',
        'forge-kind',
      ],
      ...['from', 'gate-commands', 'gate-seconds', 'index-html', 'jobs', 'level', 'logo', 'minimum-age'],
      ...['release-keys', 'releases', 'required-targets', 'retry-seconds', 'secret-key-files', 'simple-index'],
      ...['skip-signed-by', 'stable-pattern', 'store', 'title', 'to', 'trusted-keys'],
    ]);
    for (const [key, [value, origin]] of Object.entries(shown)) {
      expect([key, value, origin]).toEqual([key, Array.isArray(value) ? [] : null, 'default']);
    }
  });

  it('come from the environment, then the project, then the user', async () => {
    await write(user(), 'to = "/user"\ncompression = "xz"\nlevel = 1\n');
    await write(project(), 'to = "/project"\ncompression = "none"\n');
    expect(await show({ CARPORT_TO: '/env' })).toMatchObject({
      to: ['/env', 'CARPORT_TO'],
      compression: ['none', project()],
      level: ['1', user()],
    });
  });

  it('come from an option before all', async () => {
    await write(user(), 'jobs = 2\n');
    await write(project(), 'jobs = 3\n');
    const origin = async (args: readonly string[], env: Record<string, string>) => {
      // An impossible number: the error tells where it is from.
      const { exitCode, stderr } = await box().carport(['store', 'verify', ...args], { env });
      expect(exitCode).toBe(2);
      return stderr;
    };
    expect(await origin(['--jobs', '0'], { CARPORT_JOBS: '4' })).toContain('`0` (--jobs)');
    expect(await origin([], { CARPORT_JOBS: '-1' })).toContain('`-1` (CARPORT_JOBS)');
    await write(project(), 'jobs = 300\n');
    expect(await origin([], {})).toContain(`\`300\` (jobs in ${project()})`);
  });

  it('may be lists: of white space in the environment, of TOML in files, of options', async () => {
    const keys = ['a:AAAA', 'b:BBBB'];
    await write(user(), `trusted-keys = ${JSON.stringify(keys)}\nfrom = "/one"\n`);
    expect(await show()).toMatchObject({ 'trusted-keys': [keys, user()], from: [['/one'], user()] });
    const shown = await show({ CARPORT_FROM: ' /a\t/b\n/c ' });
    expect(shown.from).toEqual([['/a', '/b', '/c'], 'CARPORT_FROM']);
  });

  it('of the environment count only when they are not empty', async () => {
    await write(user(), 'to = "/user"\n');
    expect((await show({ CARPORT_TO: '' })).to).toEqual(['/user', user()]);
  });

  it('of a project hold in the whole checkout, and no further', async () => {
    const below = box().path('work/deep/below');
    await mkdir(below, { recursive: true });
    await write(project(), 'to = "/project"\n');
    // No checkout: who may write to a directory above must not choose settings.
    expect((await show({}, below)).to).toEqual([null, 'default']);
    await mkdir(box().path('work/.git'));
    expect((await show({}, below)).to).toEqual(['/project', project()]);
    await write(box().path('work/deep/carport.toml'), 'level = 3\n');
    expect((await show({}, below)).to).toEqual([null, 'default']);
    await writeFile(box().path('work/deep/below/.git'), 'gitdir: elsewhere\n');
    expect((await show({}, below)).level).toEqual([null, 'default']);
  });

  it('of the user are in ~/.config without XDG_CONFIG_HOME', async () => {
    const file = box().path('home/.config/carport/config.toml');
    await write(file, 'to = "/home"\n');
    for (const XDG_CONFIG_HOME of ['', 'relative']) {
      expect((await show({ XDG_CONFIG_HOME })).to).toEqual(['/home', file]);
    }
  });

  it.each([
    ['secret-key-files = "/k.sec"', 'secret-key-files'],
    ['trusted-keys = ["evil:AAAA"]', 'trusted-keys'],
    ['store = "/"', 'store'],
    ['to = "file:///c?secret-key=/keys/mine.sec"', 'secret-key'],
    ['from = ["/a", "file:///c?compression=xz&secret-keys=/a,/b"]', 'secret-key'],
  ])('of a project may not be %s', async (line, key) => {
    await write(project(), `${line}\n`);
    for (const args of [
      ['config', 'show'],
      ['push', 'x'],
      ['store', 'ls'],
    ]) {
      const { exitCode, stderr } = await box().carport(args);
      expect(exitCode).toBe(2);
      expect(stderr).toContain(`\`${project()}\` may not set \`${key}\``);
      expect(stderr).toContain('\nhint: ');
    }
    await write(project(), '');
    await write(user(), `${line}\n`);
    await box().succeed(['config', 'show']);
  });

  it.each([
    ['compresion = "xz"', 'unknown setting `compresion`', 'did you mean `compression`?'],
    ['[store]\nroot = "/x"', '`store`', undefined],
    ['to = true', '`to` in', undefined],
    ['to = ["/a", "/b"]', 'is not a text', undefined],
    ['from = [["/a"]]', 'is not a text or a list of texts', undefined],
    ['__proto__ = "x"', 'unknown setting `__proto__`', undefined],
    ['to = ', 'is not TOML', undefined],
  ])('must be proper: %s', async (text, reason, hint) => {
    for (const file of [user(), project()]) {
      await write(user(), '');
      await write(project(), '');
      await write(file, `${text}\n`);
      const { exitCode, stderr } = await box().carport(['config', 'show']);
      expect(exitCode).toBe(2);
      expect(stderr).toContain(`\`${file}\``);
      if (file === user()) expect(stderr).toContain(reason);
      if (hint !== undefined) expect(stderr).toContain(hint);
    }
  });

  it('in a file that is not one are an error, not silence', async () => {
    await mkdir(project());
    const { exitCode, stderr } = await box().carport(['config', 'show']);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('cannot be read');
  });

  it('in a circle of links are an error', async () => {
    await symlink('carport.toml', project());
    const { exitCode, stderr } = await box().carport(['config', 'show']);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(project());
  });

  it('are shown for people, too', async () => {
    const { lines } = await box().succeed(['config', 'show'], { env: { CARPORT_FROM: '/a /b' } });
    expect(lines).toContainEqual(expect.stringMatching(/^from +\/a \/b {2}\(CARPORT_FROM\)$/));
    expect(lines).toContainEqual(expect.stringMatching(/^to +- {2}\(default\)$/));
  });

  it('are what commands go by', async () => {
    await mkdir(box().path('work/tree'));
    await write(project(), `to = "${box().path('cache')}"\ncompression = "none"\n`);
    const { stdout } = await box().succeed(['store', 'add', 'tree', '--name', 'tree']);
    await box().succeed(['push', stdout.trim()]);
    const env = { CARPORT_FROM: box().path('cache'), CARPORT_STORE: box().path('other') };
    await box().succeed(['pull', stdout.trim(), '--allow-unsigned'], { env });
    expect((await box().succeed(['store', 'ls', '--store', box().path('other')])).stdout).toBe(stdout);
    expect((await box().succeed(['cache', 'info', box().path('cache')])).stdout).toMatch(/^paths: +1$/m);
  });
});
