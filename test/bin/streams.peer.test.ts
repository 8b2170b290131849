import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readlink, writeFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { directoryTokens, narOf } from '../support/nar.js';
import { createLargeStore, createSampleStore, type SampleStore } from '../support/samples.js';
import { CARPORT, useSandbox } from '../support/sandbox.js';

describe('a list on stdin', () => {
  const shared = useSandbox('all');
  const box = useSandbox();
  let samples: SampleStore;
  beforeAll(async () => {
    samples = await createSampleStore(shared().root);
  });
  const push = (input: string, ...whats: readonly string[]) =>
    box().carport(['push', ...whats, '--store', samples.root, '--to', box().path('cache')], { input });

  it('names what to push, with empty lines, spaces and repetitions', async () => {
    const { exitCode, lines } = await push(
      `\n  ${samples.base.path}  \n${samples.middle.path}\n${samples.base.path}`,
      '-',
    );
    expect(exitCode).toBe(0);
    expect(lines).toEqual([samples.base.path, samples.middle.path]);
  });

  it('goes along with arguments', async () => {
    const { lines } = await push(samples.base.path, samples.top.path, '-');
    expect(lines).toEqual(samples.paths);
  });

  it('must name something', async () => {
    const { exitCode, stderr } = await push('\n\n', '-');
    expect(exitCode).toBe(2);
    expect(stderr).toContain('there is no path on stdin');
  });

  it('takes what another command of carport prints', async () => {
    const { stdout } = await box().succeed(['closure', samples.top.path, '--store', samples.root]);
    const { exitCode, lines } = await push(stdout, '-', '--closure', 'none');
    expect([exitCode, lines]).toEqual([0, samples.paths]);
    const from = ['--from', box().path('cache'), '--allow-unsigned'];
    expect((await box().succeed(['pull', '-', ...from], { input: stdout })).lines).toEqual(samples.paths);
    expect((await box().succeed(['closure', '-'], { input: stdout })).lines).toEqual(samples.paths);
    expect((await box().succeed(['store', 'info', '-'], { input: stdout })).stdout).toContain(samples.middle.path);
  });

  it('is a NAR, or a narinfo, where a file is', async () => {
    await mkdir(box().path('work/tree'));
    await writeFile(box().path('work/tree/file'), 'text');
    const nar = (await box().succeed(['nar', 'pack', 'tree'])).bytes;
    await box().succeed(['nar', 'unpack', '-', 'copy'], { input: nar });
    expect(Buffer.from((await box().succeed(['nar', 'pack', 'copy'])).bytes).equals(nar)).toBe(true);
    expect((await box().succeed(['nar', 'ls', '-'], { input: nar })).stdout).toContain('./file');
  });
});

describe('a NAR that does not come', () => {
  const box = useSandbox('all');

  it.each([
    ['nar unpack', 'pipe', 130],
    ['nar unpack', '-', 130],
    ['nar ls', 'pipe', null],
  ] as const)('keeps nobody from ending `%s %s`', async (command, file, exitCode) => {
    const pipe = box().path('work/pipe');
    if (!existsSync(pipe)) execFileSync('mkfifo', [pipe]);
    const args = [...command.split(' '), file, ...(command === 'nar unpack' ? ['out'] : [])];
    const child = spawn(process.execPath, [CARPORT, ...args], {
      ...{ env: box().env, cwd: box().path('work'), stdio: ['pipe', 'ignore', 'ignore'] },
    });
    const ended = new Promise((resolve) => child.once('close', resolve));
    child.stdin!.on('error', () => undefined);
    if (file === '-') child.stdin!.write(narOf(...directoryTokens('a', 'b')).subarray(0, -20));
    onTestFinished(() => void child.kill('SIGKILL'));
    await expect.poll(() => isAtWork(child.pid!), { timeout: 60_000 }).toBe(true);
    const start = performance.now();
    child.kill('SIGTERM');
    expect(await ended).toBe(exitCode);
    // What goes on is left behind after eight seconds.
    expect(performance.now() - start).toBeLessThan(7500);
    expect(await readdir(box().path('work'))).toEqual(['pipe']);
  });

  /** Whether a process has opened the pipe, or made something. */
  const isAtWork = async (processId: number) => {
    const directory = `/proc/${processId}/fd`;
    const files = (await readdir(directory)).map((name) => readlink(`${directory}/${name}`).catch(() => ''));
    const made = (await readdir(box().path('work'))).length > 1;
    return made || (await Promise.all(files)).includes(box().path('work/pipe'));
  };

  it('may come through a pipe with a name', async () => {
    const script = 'mkfifo nar; ("$@" nar pack pipe-tree > nar) & exec "$@" nar ls nar';
    await mkdir(box().path('work/pipe-tree'));
    await writeFile(box().path('work/pipe-tree/file'), 'text');
    const line = ['-c', script, 'sh', process.execPath, CARPORT];
    const { stdout, status } = spawnSync('/bin/sh', line, {
      ...{ cwd: box().path('work'), encoding: 'utf8' as const, timeout: 90_000 },
    });
    expect([status, stdout]).toEqual([0, expect.stringContaining('./file')]);
  });
});

describe('a reader that goes away', () => {
  const box = useSandbox('all');
  let store: Awaited<ReturnType<typeof createLargeStore>>;
  beforeAll(async () => {
    store = await createLargeStore(
      box().root,
      Array.from({ length: 30 }, (_, index) => 40_000 + index),
    );
    await box().succeed(['push', store.top, '--store', store.root, '--to', box().path('cache')]);
  });

  /** Closes carport's stdout after its first bytes. */
  const runAndLeave = (args: readonly string[]) =>
    new Promise<{ readonly code: number | null; readonly stderr: string }>((resolve, reject) => {
      const child = spawn(process.execPath, [CARPORT, ...args], { env: box().env, stdio: ['ignore', 'pipe', 'pipe'] });
      let stderr = '';
      child.stderr.on('data', (bytes: Buffer) => {
        stderr += bytes;
      });
      child.stdout.once('data', () => child.stdout.destroy());
      child.once('error', reject);
      child.once('close', (code) => resolve({ code, stderr }));
    });

  it.each([
    ['nar', (path: string) => ['nar', 'pack', path]],
    ['closure', () => ['closure', store.top, '--store', store.root, '--json']],
    ['store ls', () => ['store', 'ls', '--store', store.root, '--json']],
    ['cache ls', () => ['cache', 'ls', box().path('cache'), '--json']],
    ['completion', () => ['completion', 'zsh']],
  ])('ends `%s` quietly', async (_, args) => {
    const { code, stderr } = await runAndLeave(args(store.root));
    expect(stderr).toBe('');
    expect([0, 141]).toContain(code);
  });

  it('does not keep a pull from finishing its work', async () => {
    const target = box().path('target');
    const args = ['pull', store.top, '--from', box().path('cache'), '--allow-unsigned', '--store', target];
    await runAndLeave(args);
    const { lines } = await box().succeed(['store', 'ls', '--store', target]);
    expect([...lines]).toEqual([...store.paths].sort());
    await box().succeed(['store', 'verify', '--store', target]);
  });
});
