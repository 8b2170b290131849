import { writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { EXIT_CODES } from '#bin/cli/exit-code.js';
import { COMMANDS } from '#bin/commands.js';
import { createWholeProgram } from '#bin/program.js';
import { fakeContext } from '../support/context.js';
import { useSandbox } from '../support/sandbox.js';

describe('a wrong command line', () => {
  const box = useSandbox('all');

  it.each([
    ['pusch', '`pusch` is not a command of carport', 'did you mean `push`?'],
    ['store ad', 'unknown command `ad`', 'did you mean `add`?'],
    ['push x --comppression zstd', 'unknown option `--comppression`', 'did you mean `--compression`?'],
    ['pull x --trustedkey a', 'unknown option `--trustedkey`', 'did you mean `--trusted-key`?'],
    ['--verbos', '`--verbos` is not an option of carport', 'carport --help'],
    ['cache', '`carport cache` needs a command', '`carport cache --help`'],
    ['hash path', 'missing required argument `path`', '`carport hash path --help`'],
    ['key generate a', 'required option `--out <file>` not specified', '`carport key generate --help`'],
    ['push', 'missing required argument `what`', '`carport push --help`'],
    ['push x', 'it is not said which cache', 'CARPORT_TO'],
    ['push x --to /c --expires 90d', '`--expires` is for a pin', '--pin NAME'],
    ['push x --to /c --keep-history 30', '`--keep-history` is for a pin', '--pin NAME'],
    ['cache refresh-toolchain x --to /c --discard-history', '`--discard-history` is for a pin', '--pin NAME'],
    ['pull x', 'it is not said where to pull from', 'CARPORT_FROM'],
    ['push x --to', 'argument missing', '`carport push --help`'],
    ['push x --to /c --closure all', 'Allowed choices are runtime, build, none', '`carport push --help`'],
    ['push x --to /c --compression bzip2', 'compression `bzip2` (--compression) cannot be written', 'zstd, xz, none'],
    ['push x --to /c --level 30', "level 30 is not one of zstd's", '1 to 19'],
    ['push x --to /c --compression none --level 3', "level 3 is not one of none's", 'leave `--level` out'],
    ['push x --to /c?compresion=xz', '`compresion` is not a parameter', '`compression`'],
    ['push x --to ssh://host', '`ssh://` caches are not supported', 's3://bucket'],
    ['hash path . --format sha', 'Allowed choices are sri, nix32, base16, base64', '`carport hash path --help`'],
    ['completion tcsh', 'Allowed choices are bash, zsh, fish', '`carport completion --help`'],
    ['cache init /c --priority much', 'number from 0', '`carport cache init --help`'],
    ['closure x --tree --sizes', 'exclude each other', undefined],
    ['store ls --store nix', '`--store nix`', '--store ROOT'],
  ])('`%s` exits with 2, and says what is wrong and what to type', async (line, message, hint) => {
    const { exitCode, stdout, stderr } = await box().carport(line.split(' '));
    expect([exitCode, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^error\[E_USAGE\]: /);
    expect(stderr).toContain(message);
    if (hint !== undefined) expect(stderr.split('\nhint: ')[1]).toContain(hint);
  });

  it('is one JSON line on stderr with --json', async () => {
    const { exitCode, stdout, stderr } = await box().carport(['push', '/nix/store/x', '--to', 'ssh://b', '--json']);
    expect([exitCode, stdout]).toEqual([2, '']);
    expect(JSON.parse(stderr)).toEqual({
      type: 'error',
      code: 'E_USAGE',
      message: expect.stringContaining('ssh://'),
      causes: [],
      hint: expect.stringContaining('file:///'),
      exitCode: 2,
    });
    expect(stderr.trimEnd()).not.toContain('\n');
  });

  it('shows where the cause of an error comes from, too, also out of a thread', async () => {
    const { stderr } = await box().carport(['store', 'add', 'missing', '-vv']);
    expect(stderr).toMatch(/\n {4}at .*error-output/);
    expect(stderr).toMatch(/\nError: ENOENT.*\n(.*\n)* {4}at .*walk/);
  });

  it('shows a stack only when asked twice', async () => {
    const args = ['push', 'x', '--to', 'ssh://b'];
    for (const more of [[], ['-v']]) expect((await box().carport([...args, ...more])).stderr).not.toContain('    at ');
    for (const more of [['-vv'], ['-v', '--verbose']]) {
      expect((await box().carport([...args, ...more])).stderr).toMatch(/\n {4}at .*cache-url/);
    }
  });

  it.each([[[]], [['-vv']]])('does not let what it names drive the terminal %j', async (more) => {
    const { stderr } = await box().carport(['hash', 'file', './\x1b[2Jno\x07such\x9bfile', ...more]);
    expect(stderr).toContain('./?[2Jno?such?file');
    expect(stderr).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
  });
});

describe('a command that the file system refuses', () => {
  const box = useSandbox('all');

  it.each([
    ['hash path missing', 5, 'E_NOT_FOUND', '`missing`: no such file or directory'],
    ['hash file .', 1, 'E_IO', 'it is a directory'],
    ['nar unpack missing dest', 5, 'E_NOT_FOUND', '`missing`: no such file or directory'],
    ['nar pack missing', 5, 'E_NOT_FOUND', '`missing`: no such file or directory'],
    ['narinfo show missing', 5, 'E_NOT_FOUND', '`missing`: no such file or directory'],
    ['derivation show missing', 5, 'E_NOT_FOUND', '`missing`: no such file or directory'],
    ['store add missing --name x', 5, 'E_NOT_FOUND', '`missing`: no such file or directory'],
    ['nar unpack file/below dest', 1, 'E_IO', 'not a directory'],
  ] as const)('`%s` exits with %i, and says so with the path and a hint', async (line, code, name, message) => {
    await writeFile(box().path('work/file'), '');
    const { exitCode, stdout, stderr } = await box().carport(line.split(' '));
    expect([exitCode, stdout]).toEqual([code, '']);
    expect(stderr.startsWith(`error[${name}]: `), stderr).toBe(true);
    expect(stderr).toContain(message);
    expect(stderr).toContain('\nhint: ');
  });
});

describe('help', () => {
  const box = useSandbox('all');

  it('lists every command in its group, and the exit codes', async () => {
    for (const args of [['--help'], ['-h'], ['help'], []]) {
      const { stdout, stderr } = await box().succeed(args);
      for (const { name, summary } of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${name} +${summary}$`, 'm'));
      for (const code of Object.keys(EXIT_CODES)) expect(stdout).toMatch(new RegExp(`^  ${code}\\b`, 'm'));
      expect(stderr).toBe('');
    }
  });

  it('has for each command what it does, examples before options, and exit codes', async () => {
    const program = await createWholeProgram(fakeContext());
    const leaves = program.commands.flatMap((command) => (command.commands.length > 0 ? command.commands : [command]));
    expect(leaves.length).toBeGreaterThan(20);
    for (const leaf of leaves) {
      const text = leaf.helpInformation();
      expect(text.indexOf('Examples:\n  '), leaf.name()).toBeGreaterThan(0);
      expect(text.indexOf('Options:\n')).toBeGreaterThan(text.indexOf('Examples:'));
      expect(text).toContain('--json');
      expect(text).toContain('Exit status:\n');
      expect(text.split('\n')[0]!.length).toBeGreaterThan(15);
    }
  });

  it.each([
    ['push --help', 'carport push'],
    ['help push', 'carport push'],
    ['store --help', 'add'],
    ['store add --help', '--name <name>'],
    ['help store add', '--name <name>'],
  ])('`%s` shows it', async (line, part) => {
    const { stdout, stderr } = await box().succeed(line.split(' '));
    expect(stdout).toContain(part);
    expect(stderr).toBe('');
  });

  it('tells versions, also as JSON', async () => {
    expect((await box().succeed(['--version'])).stdout).toMatch(/^carport \d+\.\d+\.\d+\n$/);
    const version = JSON.parse((await box().succeed(['--version', '--json'])).stdout);
    expect(version).toMatchObject({ version: 1, node: process.versions.node, formats: { nar: 1 } });
    expect(version.zstd).toMatch(/^\d+\.\d+\.\d+$/);
  });
});
