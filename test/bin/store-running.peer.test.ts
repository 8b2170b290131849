import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { execa } from 'execa';
import { expect, it } from 'vitest';
import { createHostNix, linkPrograms, machineWith } from '../support/machines.js';
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

  it.each([
    ['without /nix', async () => machineWith(), 0],
    ['with a store of its own', async () => machineWith(await createHostNix(box().path('host-nix'))), 1],
  ])('keeps its closure for what it leaves in the background on a machine %s', async (_, makeMachine, forests) => {
    await linkPrograms(box().path('bin'), ['bwrap', 'sh', 'cat', 'sleep', 'setsid', 'mv']);
    const base = await add('base', 'the base\n');
    const used = await add('used', base);
    const garbage = await add('garbage', 'x');
    await mkdir(box().path('runtime'), { mode: 0o700 });
    const env = { ...box().env, XDG_RUNTIME_DIR: box().path('runtime') };
    const [program, ...before] = [...(await makeMachine()), process.execPath, CARPORT];
    const run = (script: string) =>
      execa(program!, [...before, 'run', used, '--', 'sh', '-c', script], {
        ...{ env, extendEnv: false, cwd: box().path('work') },
      });
    // What carport has put there to be removed.
    const temporary = async () => {
      const names = await readdir(box().path('runtime'), { recursive: true });
      return names.filter((name) => /^carport-[0-9]+\/[^/]+$/.test(name)).length;
    };
    const running = async () => (await box().succeed(['store', 'ls', '--roots'])).lines;

    const wait = 'while [ ! -e go ]; do sleep 0.05; done';
    const server = `echo $$ > pid; ${wait}; cat ${used}/content ${base}/content > all; mv all answer`;
    await run(`setsid sh -c '${server}' > /dev/null 2>&1 < /dev/null & while [ ! -s pid ]; do sleep 0.05; done`);
    const processId = Number(await readFile(box().path('work/pid'), 'utf8'));
    expect(await running()).toEqual([`running process ${processId} -> ${used}`]);
    expect((await box().succeed(['store', 'gc'])).lines).toEqual([garbage]);
    // Which removes what others have left.
    await run('exit 0');
    expect(await temporary()).toBe(forests);
    await writeFile(box().path('work/go'), '');
    const answer = () => readFile(box().path('work/answer'), 'utf8').catch(() => undefined);
    await expect.poll(answer).toBe(`${base}the base\n`);

    await expect.poll(running).toEqual([]);
    await run('exit 0');
    expect(await temporary()).toBe(0);
    expect((await box().succeed(['store', 'gc'])).lines).toEqual([base, used].sort());
  });
});
