import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { COMMANDS } from '#bin/commands.js';
import { useSandbox } from '../support/sandbox.js';

const has = (shell: string) => spawnSync(shell, ['-c', 'exit 0']).status === 0;

describe('the completion of bash', () => {
  const box = useSandbox('all');
  let script: string;
  beforeAll(async () => {
    script = (await box().succeed(['completion', 'bash'])).stdout;
    await writeFile(box().path('completion.bash'), script);
  });

  /** What bash offers after a line; the last word is the one to complete. */
  const complete = (...words: readonly string[]): readonly string[] => {
    const quoted = ['carport', ...words].map((word) => `'${word}'`).join(' ');
    const program = `set -u; source '${box().path('completion.bash')}'; COMP_WORDS=(${quoted}); COMP_CWORD=${words.length}; _carport; printf '%s\\n' "\${COMPREPLY[@]-}"`;
    const cwd = existsSync(box().path('work/src')) ? box().path('work/src') : box().path('work');
    const { status, stdout, stderr } = spawnSync('bash', ['-c', program], { encoding: 'utf8', cwd });
    expect([status, stderr]).toEqual([0, '']);
    return stdout.split('\n').filter((line) => line !== '');
  };

  it('is proper bash', () => {
    expect(spawnSync('bash', ['-n'], { input: script, encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
  });

  it('offers every command', () => {
    const words = complete('');
    for (const { name } of COMMANDS) expect(words).toContain(name);
    expect(complete('pu')).toEqual(['push', 'pull']);
  });

  it('offers the commands of a command', () => {
    expect(complete('store', '')).toEqual(expect.arrayContaining(['add', 'ls', 'info', 'verify']));
    expect(complete('cache', 'i')).toEqual(['init', 'info']);
    expect(complete('nar', 'un')).toEqual(['unpack']);
  });

  it('offers options, also after arguments', () => {
    expect(complete('push', '--cl')).toEqual(['--closure']);
    expect(complete('push', './result', '--to', '/cache', '--dry')).toEqual(['--dry-run']);
    expect(complete('store', 'add', './out', '--na')).toEqual(['--name']);
    expect(complete('pull', '--secret')).toEqual([]);
  });

  it('offers fixed choices', () => {
    expect(complete('completion', '')).toEqual(expect.arrayContaining(['bash', 'zsh', 'fish']));
  });

  it('offers the toolchains of the project, and makes nothing else of their names', async () => {
    const text =
      'from = "c"\n[toolchains]\ngcc = "x"\n"$(touch y)" = "x"\ndocs-1 = { pin = "y" }\n\n[others]\nno = 1\n';
    await mkdir(box().path('work/src'));
    await writeFile(box().path('work/carport.toml'), text);
    for (const command of ['pull', 'run', 'shell', 'env', 'lock']) {
      const words = complete(command, '').filter((word) => !word.startsWith('--'));
      expect([command, ...words]).toEqual([command, 'gcc', 'docs-1']);
    }
    expect(complete('push', 'g')).toEqual([]);
  });

  it('offers values of options, and stops at `--`', () => {
    expect(complete('push', '--closure', '')).toEqual(['runtime', 'build', 'none']);
    expect(complete('push', '--closure', 'b')).toEqual(['build']);
    expect(complete('release', 'promote', '--to', 's')).toEqual(['stable']);
    expect(complete('push', '--compression', '')).toEqual(['zstd', 'xz', 'none']);
    expect(complete('run', 'gcc', '--', '--js')).toEqual([]);
  });

  /** The same for a line, cut into words as bash does, with a carport that knows certain pins and caches. */
  const completeLine = async (line: string, ...words: readonly string[]) => {
    const known = [
      `case "$4" in pins) printf '%s\\n' toolchain '$(touch hurt)' '\`touch hurt\`' '*' "tool of \${5-}" ;;`,
      `caches) printf '%s\\n' file:///srv/cache 's3://b?endpoint=https://h&region=x' ;; esac`,
    ].join('\n');
    await mkdir(box().path('known/empty'), { recursive: true });
    await writeFile(box().path('known/carport'), `#!/bin/bash\n${known}\n`, { mode: 0o755 });
    const quote = (text: string) => `'${text}'`;
    const program = `set -u; PATH="$PWD/known:$PATH"; source ./completion.bash; cd known/empty
      COMP_LINE=${quote(line)} COMP_POINT=${line.length} COMP_WORDS=(${words.map(quote).join(' ')}) COMP_CWORD=${words.length - 1}
      _carport; printf '%s\n' "\${COMPREPLY[@]-}"`;
    const { stdout, stderr } = spawnSync('bash', ['-c', program], { encoding: 'utf8', cwd: box().path('.') });
    expect(stderr).toBe('');
    expect(existsSync(box().path('known/empty/hurt'))).toBe(false);
    return stdout.split('\n').filter((each) => each !== '');
  };

  it('offers pins of the named cache, and makes nothing of what is in their names', async () => {
    const address = ['--from', 'file', ':', '///x', ''];
    const offered = await completeLine('carport pull --from file:///x ', 'carport', 'pull', ...address);
    expect(offered).toContain('toolchain');
    expect(offered).toContain(String.raw`tool\ of\ --of=file:///x`);
    expect(offered).toContain(String.raw`\$\(touch\ hurt\)`);
    expect(await completeLine('carport pin rm toolc', 'carport', 'pin', 'rm', 'toolc')).toEqual(['toolchain']);
  });

  it('offers caches in place of what bash takes for a word', async () => {
    const to = ['carport', 'push', '--to'];
    expect(await completeLine('carport push --to f', ...to, 'f')).toEqual(['file:///srv/cache']);
    expect(await completeLine('carport push --to file:', ...to, 'file', ':')).toEqual(['///srv/cache']);
    const words = ['s3', ':', String.raw`//b\?endpoint`, '=', 'ht'];
    const line = String.raw`carport push --to s3://b\?endpoint=ht`;
    expect(await completeLine(line, ...to, ...words)).toEqual([String.raw`https://h\&region=x`]);
    const closure = ['carport', 'push', '--closure', '=', 'ru'];
    expect(await completeLine('carport push --closure=ru', ...closure)).toEqual(['runtime']);
  });

  it('offers nothing of its own for files', () => {
    expect(complete('push', './res')).toEqual([]);
  });
});

describe('the completion of other shells', () => {
  const box = useSandbox('all');

  it('names every command and its options', async () => {
    for (const shell of ['zsh', 'fish']) {
      const { stdout } = await box().succeed(['completion', shell]);
      for (const { name } of COMMANDS) expect(stdout).toContain(name);
      expect(stdout).toContain(shell === 'fish' ? '-l secret-key' : '--secret-key');
      expect(stdout).toContain('verify');
    }
  });

  it.skipIf(!has('zsh'))('is proper zsh', async () => {
    const { stdout } = await box().succeed(['completion', 'zsh']);
    expect(spawnSync('zsh', ['-n'], { input: stdout, encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
  });

  it.skipIf(!has('fish'))('is proper fish', async () => {
    const { stdout } = await box().succeed(['completion', 'fish']);
    const file = box().path('completion.fish');
    await writeFile(file, stdout);
    expect(spawnSync('fish', ['-n', file], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
    const program = `source '${file}'; complete -C "carport sto"; complete -C "carport store "`;
    const offered = spawnSync('fish', ['-c', program], { encoding: 'utf8' }).stdout;
    expect(offered).toMatch(/^store\t/m);
    expect(offered).toMatch(/^verify\t/m);
  });
});
