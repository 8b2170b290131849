import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, it, vi } from 'vitest';
import { createSampleStore } from '../support/samples.js';
import { CARPORT, useSandbox } from '../support/sandbox.js';
import { narInfosOf } from '../support/transfers.js';

const PATIENT = { timeout: 60_000, interval: 100 };
const box = useSandbox();

it('goes on from where a run began that was killed, and tidies its queue', async () => {
  const key = await box().makeKey('test-1');
  const root = box().path('sample-store');
  const options = ['--to', box().path('cache'), '--secret-key', key.file, '--store', root, '--sources'];
  const start = (...command: readonly string[]) =>
    execa(process.execPath, [CARPORT, 'watch', ...options, '--', ...command], {
      ...{ cwd: box().root, env: box().env },
      ...{ extendEnv: false, reject: false },
    });
  const queues = box().path('state', 'carport', 'queue');
  const notes = async () => {
    const [queue = ''] = await readdir(queues).catch(() => []);
    const names = queue === '' ? [] : await readdir(join(queues, queue));
    return names.filter((name) => name.startsWith('.since')).map((name) => join(queues, queue, name));
  };

  // No shell with a child: what the command is ends with its stdin.
  const killed = start('/bin/cat');
  await vi.waitFor(async () => expect(await notes()).toHaveLength(1), PATIENT);
  killed.kill('SIGKILL');
  await killed;
  const [note = ''] = await notes();
  await copyFile(note, box().path('note'));
  const { base } = await createSampleStore(box().root);

  const next = await start('/bin/true');
  expect(next).toMatchObject({ exitCode: 0, stderr: expect.stringMatching(/pushed [1-9]/) });
  expect([...(await narInfosOf(box().path('cache'))).keys()]).toContain(base.path);
  expect(await notes()).toEqual([]);

  await mkdir(join(note, '..'), { recursive: true });
  await copyFile(box().path('note'), note);
  await writeFile(join(note, '../not-a-path'), '');
  await writeFile(join(note, '../.log'), 'why it failed');
  const drained = await box().carport(['hook', '--drain', ...options]);
  expect(drained).toMatchObject({ exitCode: 0, stderr: expect.stringMatching(/pushed 0 paths, [1-9]\d* were there/) });
  expect(await readdir(join(note, '..'))).toEqual(['.log']);
  expect(await readFile(join(note, '../.log'), 'utf8')).toBe('why it failed');
});
