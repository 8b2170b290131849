import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { linkPrograms } from '../support/machines.js';
import { describeWithProgram } from '../support/programs.js';
import { writeFiles } from '../support/samples.js';
import { CARPORT, useSandbox } from '../support/sandbox.js';

describeWithProgram('bwrap', 'a program that runs from the store', () => {
  const box = useSandbox();
  const add = async (name: string, content: string) => {
    await writeFiles(box().path('trees', name), { content });
    return (await box().succeed(['store', 'add', box().path('trees', name)])).stdout.trim();
  };

  it('keeps its closure from garbage collections until it ends', async () => {
    await linkPrograms(box().path('bin'), ['bwrap', 'sh', 'cat']);
    const base = await add('base', 'the base\n');
    const used = await add('used', base);
    const garbage = await add('garbage', 'x');
    // Says that it is there, waits for a line, and reads what a collection may have removed.
    const script = `echo ready; read line; cat ${used}/content; echo; cat ${base}/content`;
    const child = spawn(process.execPath, [CARPORT, 'run', used, '--', 'sh', '-c', script], {
      env: box().env,
      cwd: box().path('work'),
    });
    let output = '';
    child.stdout.on('data', (bytes: Buffer) => {
      output += bytes;
    });
    let errors = '';
    child.stderr.on('data', (bytes: Buffer) => {
      errors += bytes;
    });
    const ended = once(child, 'close');
    await Promise.race([once(child.stdout, 'data'), ended]);
    expect(output, errors).toBe('ready\n');

    const roots = await box().succeed(['store', 'ls', '--roots']);
    expect(roots.lines).toEqual([`running process ${child.pid} -> ${used}`]);
    expect((await box().succeed(['store', 'gc'])).lines).toEqual([garbage]);
    child.stdin.end('\n');
    expect((await ended)[0], errors).toBe(0);
    expect(output).toBe(`ready\n${base}\nthe base\n`);

    expect((await box().succeed(['store', 'gc'])).lines).toEqual([base, used].sort());
    await expect(readFile(`${box().path('data/carport')}${base}/content`)).rejects.toThrow();
  });
});
