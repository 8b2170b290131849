import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ProgramFailure, runProgram } from '#lib/process/run.js';
import { useDirectory } from '../../support/files.js';

const directory = useDirectory();

const sh = (script: string, options?: Parameters<typeof runProgram>[2]) => runProgram('sh', ['-c', script], options);

describe('runProgram', () => {
  it('gives the output and the exit code', async () => {
    expect(await sh('echo out; echo err >&2')).toEqual({ exitCode: 0, stdout: 'out', stderr: 'err\n' });
  });

  it('gives a bad exit code and a signal as a failure that shows what was said last', async () => {
    const { exitCode, stdout, failure } = await sh('echo out; for n in 1 2 3 4 5 6 7; do echo $n >&2; done; exit 3');
    expect({ exitCode, stdout }).toEqual({ exitCode: 3, stdout: 'out' });
    expect(failure).toBeInstanceOf(ProgramFailure);
    expect(failure).toMatchObject({ program: 'sh', reason: 'ended', message: '3\n4\n5\n6\n7' });
    const killed = await sh('kill -9 $$');
    expect(killed.exitCode).toBeUndefined();
    expect(killed.failure).toMatchObject({ reason: 'ended', message: 'it ended with SIGKILL: sh -c kill -9 $$' });
  });

  it('shows the command line of one that said nothing, without passwords', async () => {
    const { failure } = await runProgram('false', ['https://user:geheim@host/']);
    expect(failure?.message).toBe('it ended with 1: false https://…@host/');
  });

  it('tells one that is not there, and one that cannot be started', async () => {
    expect((await runProgram('no-such-program-here', [])).failure?.reason).toBe('not-found');
    await writeFile(join(directory(), 'text'), 'text', { mode: 0o644 });
    const { failure } = await runProgram(join(directory(), 'text'), []);
    expect(failure).toMatchObject({ reason: 'failed' });
    expect(failure?.message).toMatch(/EACCES/);
    expect((await sh('cat', { inputFile: join(directory(), 'none') })).failure?.reason).toBe('failed');
  });

  it('ends one that takes too long, or prints too much', async () => {
    const late = await sh('exec sleep 60', { timeLimit: 200 });
    expect(late.failure).toMatchObject({ reason: 'timed-out' });
    expect(late.failure?.message).toMatch(/^it took too long, and was ended: sh /);
    const much = await sh('yes', { outputLimit: 1000 });
    expect(much.failure).toMatchObject({ reason: 'too-much-output' });
    expect(much.stdout.length).toBeLessThanOrEqual(1000);
  });

  it('does not wait for what a program that was ended has left behind', async () => {
    const begun = performance.now();
    const { failure } = await sh('sleep 120 & sleep 120', { timeLimit: 200 });
    expect(failure).toMatchObject({ reason: 'timed-out' });
    expect(performance.now() - begun).toBeLessThan(60_000);
  });

  it('ends when it is told to, and throws why', async () => {
    const interrupt = new AbortController();
    const reason = new Error('interrupted');
    const running = sh('echo ready >&2; exec sleep 60', {
      signal: interrupt.signal,
      onStderr: () => interrupt.abort(reason),
    });
    await expect(running).rejects.toBe(reason);
  });

  it('keeps the end of what is said, and tells all of it', async () => {
    let told = 0;
    const count = (text: string) => {
      told += text.length;
    };
    const { stderr } = await sh("head -c 300000 /dev/zero | tr '\\0' x >&2; echo end >&2", { onStderr: count });
    expect(told).toBe(300_004);
    expect(stderr).toHaveLength(64 * 1024);
    expect(stderr).toMatch(/x+end\n$/);
  });

  it('runs in a directory, with an environment of its own, from a file into a file', async () => {
    const input = join(directory(), 'input');
    const output = join(directory(), 'output');
    await writeFile(input, 'read\n');
    const env = { PATH: process.env.PATH ?? '', ONLY: 'this' };
    const options = { directory: directory(), env, inputFile: input, outputFile: output };
    const result = await sh('pwd; echo $ONLY$HOME; cat', options);
    expect(result).toEqual({ exitCode: 0, stdout: '', stderr: '' });
    expect(await readFile(output, 'utf8')).toBe(`${directory()}\nthis\nread\n`);
  });

  it('has nothing to read where no file is named', async () => {
    expect((await sh('cat; echo end')).stdout).toBe('end');
  });
});
