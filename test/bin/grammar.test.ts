import { rm, symlink } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { Command, Option } from 'commander';
import { beforeAll, describe, expect, it } from 'vitest';
import { COMMANDS } from '#bin/commands.js';
import { suggestCommand } from '#bin/help/suggest.js';
import { createWholeProgram, runCommandLine } from '#bin/program.js';
import { fakeContext } from '../support/context.js';
import { useSampleCache } from '../support/sample-cache.js';

/** What removes something for good, or makes it useless, and how it is kept from doing so by accident. */
const DESTROYING: Readonly<Record<string, readonly string[]>> = {
  'cache erase': ['--yes', '--dry-run'],
  'store delete': ['--yes', '--dry-run'],
  'store gc': ['--yes', '--dry-run'],
  'pin rm': ['--yes', '--dry-run'],
  'cache gc': ['--apply', '--dry-run'],
  'release prune': ['--apply', '--dry-run'],
};

/** What changes what others see. */
const CHANGING = [
  ...['push', 'release put', 'release promote', 'release yank', 'release unyank', 'index publish', 'pin set'],
  ...['cache init', 'cache config', 'cache page', 'cache copy', 'cache sign', 'store forget'],
  ...['release bump', 'release tag', 'release branch'],
];

/** Where `--to` is a channel, a version, an index of packages or a forge. */
const OTHER_TO = ['release promote', 'release bump', 'release upload-pypi', 'release forge-publish'];

interface Leaf {
  readonly path: string;
  readonly command: Command;
}

function leavesOf(command: Command, path: readonly string[] = []): readonly Leaf[] {
  if (command.commands.length === 0) return [{ path: path.join(' '), command }];
  return command.commands.flatMap((child) => leavesOf(child, [...path, child.name()]));
}

describe('the commands', () => {
  let leaves: readonly Leaf[];
  beforeAll(async () => {
    leaves = leavesOf(await createWholeProgram(fakeContext()));
  });
  const optionsOf = (path: string): readonly Option[] =>
    leaves.find((leaf) => leaf.path === path)?.command.options ?? [];
  const visible = () =>
    leaves.flatMap(({ path, command }) =>
      command.options.filter(({ hidden }) => !hidden).map((option) => ({ path, option })),
    );

  it('of each family are in the help, all of them', async () => {
    const families = COMMANDS.filter(({ commands }) => commands !== undefined);
    for (const { name, commands } of families) {
      expect(leaves.flatMap(({ path }) => (path.startsWith(`${name} `) ? [path.split(' ')[1]] : []))).toEqual(commands);
    }
    const others = COMMANDS.filter(({ commands }) => commands === undefined).map(({ name }) => name);
    expect(leaves.flatMap(({ path }) => (path.includes(' ') ? [] : [path])).sort()).toEqual(others.sort());
  });

  it('that destroy can be tried, and must be confirmed', () => {
    for (const [path, wanted] of Object.entries(DESTROYING)) {
      expect(
        optionsOf(path).map(({ long }) => long),
        path,
      ).toEqual(expect.arrayContaining([...wanted]));
    }
    for (const path of CHANGING)
      expect(
        optionsOf(path).map(({ long }) => long),
        path,
      ).toContain('--dry-run');
    const sure = visible().filter(({ option }) => ['--yes', '--apply'].includes(option.long!));
    for (const { path } of sure)
      expect(
        optionsOf(path).map(({ long }) => long),
        path,
      ).toContain('--dry-run');
    // By other names nothing is forced.
    expect(visible().filter(({ option }) => ['--force', '--delete', '--really'].includes(option.long!))).toEqual([]);
  });

  it('say what they work on in one way', () => {
    for (const { path, option } of visible()) {
      if (option.long === '--to' && !OTHER_TO.includes(path))
        expect(path).toMatch(/^(push|watch|hook|cache (copy|refresh-toolchain))$/);
      if (option.long === '--from')
        expect(path).toMatch(
          /^(pull|run|shell|lock|env|shims|outdated|closure|export|serve|cache copy|cache fsck|image (build|push|publish)|release forge-publish)$/,
        );
    }
    for (const { path, command } of leaves) {
      const names = command.options.map(({ long }) => long);
      const hasOne = ['--cache', '--to', '--from'].some((name) => names.includes(name));
      if (hasOne && !['cache copy', ...OTHER_TO].includes(path)) expect(names, path).toContain('--cache');
    }
  });

  it('have one argument, one description and one choice for options of one name, unless they mean another thing', () => {
    const meanings = new Map<string, Map<string, string[]>>();
    for (const { path, option } of visible()) {
      const shape = `${option.flags}|${option.argChoices?.join(',') ?? ''}`;
      const shapes = meanings.get(option.long!) ?? new Map<string, string[]>();
      shapes.set(shape, [...(shapes.get(shape) ?? []), path]);
      meanings.set(option.long!, shapes);
    }
    const several = [...meanings].filter(([, shapes]) => shapes.size > 1).map(([name]) => name);
    expect(several.sort()).toEqual([
      '--channel',
      '--check',
      '--compression',
      '--fingerprint',
      '--format',
      '--key',
      '--out',
      '--remove',
      '--to',
    ]);
  });

  it.each([
    'lock --frozen --update',
    'use file:///c --remove --fingerprint SHA256:x',
    'use file:///c --remove --check x',
    'cache gc file:///c --apply --dry-run',
  ])('refuse options of which one would be left out: `%s`', async (line) => {
    const context = fakeContext({ HOME: '/nonexistent' });
    expect(await runCommandLine(line.split(' '), context)).toBe(2);
    expect(context.stderr.text()).toMatch(/`--\w+` and `--[\w-]+` exclude each other/);
  });

  it('have an enumeration wherever a choice is named', () => {
    const kinds = visible().filter(({ option }) => option.long === '--closure');
    expect(kinds.map(({ path }) => path).sort()).toEqual(['closure', 'export', 'push']);
    for (const { option } of kinds) expect(option.argChoices).toEqual(['runtime', 'build', 'none']);
  });
});

describe('a word that is no command', () => {
  it.each([
    ['gc', undefined, 'did you mean `carport cache gc` or `carport store gc`?'],
    ['stats', undefined, 'did you mean `carport cache stats`?'],
    ['yank', undefined, 'did you mean `carport release yank`?'],
    ['pusch', undefined, 'did you mean `push`?'],
    ['promot', undefined, 'did you mean `carport release promote`?'],
    ['push', 'cache', 'did you mean `carport push`?'],
    ['erase', 'store', 'did you mean `carport cache erase`?'],
    ['lss', 'cache', 'did you mean `ls`?'],
    ['rm', 'store', 'did you mean `carport store delete`?'],
    ['rm', 'cache', 'did you mean `carport cache erase`?'],
    ['delete', 'pin', 'did you mean `carport pin rm`?'],
    ['gen', 'key', 'did you mean `generate`?'],
    ['psuh', undefined, 'did you mean `push`?'],
    ['helpp', undefined, 'did you mean `help`?'],
    ['nope', undefined, 'known are '],
    ['foo', undefined, 'known are '],
    ['man', undefined, 'known are '],
    ['qqqqqq', 'pin', 'known are `set`, `rm`, `ls`'],
  ])('`%s` of %s: %s', (word, family, hint) => {
    expect(suggestCommand(word, family)).toContain(hint);
  });

  it('or a family alone: its help, after the error', async () => {
    const context = fakeContext();
    expect(await runCommandLine(['cache'], context)).toBe(2);
    expect(context.stdout.text()).toBe('');
    expect(context.stderr.text()).toMatch(/^error\[E_USAGE\].*needs a command\n(.*\n)*Commands:\n {2}init {2}/);
    const json = fakeContext();
    expect(await runCommandLine(['cache', '--json'], json)).toBe(2);
    expect(JSON.parse(json.stderr.text())).toMatchObject({ code: 'E_USAGE', exitCode: 2 });
  });
});

describe('what destroys', () => {
  const sample = useSampleCache();
  const trust = () => ['--trusted-key', sample().keyFile.publicKey];
  const pin = (name: string, ...more: readonly string[]) =>
    sample().shared.succeed([
      'pin',
      'set',
      name,
      sample().samples.top.path,
      '--cache',
      sample().cache,
      '--secret-key',
      sample().keyFile.file,
      ...more,
    ]);
  const pins = async () =>
    (await sample().shared.succeed(['pin', 'ls', '--cache', sample().cache, ...trust()])).lines.length;
  /** At a terminal where somebody types this. */
  const typed = async (answer: string, ...args: readonly string[]) => {
    const stdin = Object.assign(Readable.from([`${answer}\n`]), { isTTY: true });
    const context = { ...fakeContext(sample().shared.env, { columns: 80 }), stdin };
    return { exitCode: await runCommandLine(args, context), stderr: context.stderr.text() };
  };

  it('asks at a terminal, can be tried, and goes on elsewhere as it did', async () => {
    await pin('old', '--dry-run');
    expect(await pins()).toBe(0);
    await pin('old');
    const rm = ['pin', 'rm', 'old', '--cache', sample().cache];
    expect((await typed('n', ...rm)).exitCode).toBe(2);
    expect((await typed('', ...rm)).stderr).toContain('nothing was removed');
    await sample().shared.succeed([...rm, '--dry-run']);
    expect(await pins()).toBe(1);
    expect(await typed('y', ...rm)).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('Go on? [y/N]') });
    expect(await pins()).toBe(0);
    for (const more of [[], ['--yes']]) {
      await pin('old');
      await sample().shared.succeed([...rm, ...more]);
    }
    expect(await pins()).toBe(0);
    expect((await typed('n', 'store', 'gc', '--store', sample().samples.root)).exitCode).toBe(2);
  });

  it('erases no cache that is only set, and does not do two things at once', async () => {
    const { cache, shared } = sample();
    const set = { env: { CARPORT_CACHE: cache } };
    const erased = await shared.carport(['cache', 'erase', '--yes'], set);
    expect(erased).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('CARPORT_CACHE') });
    expect((await shared.carport(['cache', 'erase', '--dry-run'], set)).exitCode).toBe(0);
    for (const line of ['cache gc', 'release prune --keep 1']) {
      expect((await shared.carport([...line.split(' '), '--apply', '--dry-run'], set)).stderr).toContain('exclude');
    }
  });

  it('of releases is spelled as of caches, and as before', async () => {
    const { cache, shared } = sample();
    for (const name of ['--apply', '--delete', '--dry-run']) {
      const ran = await shared.succeed([
        'release',
        'prune',
        '--keep',
        '1',
        name,
        '--cache',
        cache,
        '--json',
        '--secret-key',
        sample().keyFile.file,
      ]);
      expect(JSON.parse(ran.stdout)).toMatchObject({ version: 1, dryRun: name === '--dry-run' });
    }
  });

  it('changes no settings when it is tried', async () => {
    const { cache, shared } = sample();
    const tried = await shared.succeed(['cache', 'config', cache, '--priority', '7', '--dry-run', '--json']);
    expect(JSON.parse(tried.stdout)).toMatchObject({ priority: 7 });
    expect(JSON.parse((await shared.succeed(['cache', 'config', cache, '--json'])).stdout).priority).not.toBe(7);
    expect((await shared.succeed(['cache', 'init', shared.path('new'), '--dry-run', '--json'])).stdout).toContain(
      '"created": true',
    );
    expect((await shared.carport(['cache', 'info', shared.path('new')])).exitCode).toBe(5);
  });
});

describe('a pin', () => {
  const sample = useSampleCache();
  beforeAll(async () => {
    const { shared, samples, cache, keyFile } = sample();
    await shared.succeed(['pin', 'set', 'tools', samples.top.path, '--cache', cache, '--secret-key', keyFile.file]);
    await shared.succeed(['pull', 'tools', '--from', cache, '--trusted-key', keyFile.publicKey]);
  });

  it('gives way to a link of its name that leads elsewhere, and says so', async () => {
    const { shared, samples } = sample();
    const link = shared.path('work/tools');
    const info = async (store: string) => {
      await symlink(store, link);
      const ran = await shared.succeed(['closure', 'tools', '--closure', 'none']);
      await rm(link);
      return ran;
    };
    const other = await info(samples.base.path);
    expect([other.lines, other.stderr]).toEqual([[samples.base.path], expect.stringContaining('`./tools` says so')]);
    expect(await info(samples.top.path)).toMatchObject({ lines: [samples.top.path], stderr: '' });
    // What is called so and is no link is nothing that could be meant.
    expect((await info('/nonexistent')).lines).toEqual([samples.top.path]);
  });

  it('is taken wherever paths are', async () => {
    const { shared, samples, cache, keyFile } = sample();
    const { path } = samples.top;
    const same = async (line: string, env: Record<string, string> = {}) => {
      const run = (what: string) =>
        shared.succeed(
          line.split(' ').map((word) => (word === 'WHAT' ? what : word)),
          { env },
        );
      const [byPin, byPath] = [await run('tools'), await run(path)];
      expect(byPin.stdout, line).toBe(byPath.stdout);
      expect(byPin.stdout.length, line).toBeGreaterThan(0);
    };
    const trusted = `--trusted-key ${keyFile.publicKey}`;
    for (const line of [
      ...['store info WHAT', 'closure WHAT', 'closure WHAT --closure none', `closure WHAT --from ${cache}`],
      ...[`closure WHAT --from ${cache} --closure none`, `cache ls ${cache} WHAT`, `cache ls --cache ${cache} WHAT`],
      ...[
        `push WHAT --to ${shared.path('other')} --allow-unsigned`,
        'export WHAT --out exported',
        'store verify WHAT --json',
      ],
      ...['store delete WHAT --dry-run --json'],
    ]) {
      if (line.startsWith('store delete')) {
        expect((await shared.carport(line.replace('WHAT', 'tools').split(' '))).stderr).toContain(path);
      } else await same(line);
    }
    // What is not here is pulled first.
    const empty = { XDG_DATA_HOME: shared.path('nothing-here') };
    await same(`export WHAT --from ${cache} ${trusted} --out exported`, empty);
    await same('closure WHAT', { CARPORT_CACHE: cache, XDG_DATA_HOME: shared.path('empty') });
    expect((await shared.carport(['cache', 'ls', cache, 'nothing'])).exitCode).toBe(2);
    expect((await shared.carport(['closure', 'nothing', '--from', cache])).exitCode).toBe(5);
    expect((await shared.carport(['closure', path, '--build', '--closure', 'none'])).exitCode).toBe(2);
  });
});
