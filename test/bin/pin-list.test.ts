import { copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { serve } from '../support/cache-commands.js';
import { createAdder } from '../support/samples.js';
import { useSandbox } from '../support/sandbox.js';

const box = useSandbox();
const at = (...names: string[]) => box().path(...names);
const LIST = 'cache/carport/pins.json';
const list = async () => JSON.parse(await readFile(at(LIST), 'utf8'));

it('a web server shows the pins of a cache by their list, and each pin by itself', async () => {
  const key = await box().makeKey('k-1');
  const add = createAdder(at('store'), at('trees'));
  const { path } = await add('tool', { file: '1' });
  await add.close();
  const url = await serve((request, response) => {
    readFile(at('cache', decodeURIComponent(new URL(request.url!, 'http://x').pathname))).then(
      (bytes) => response.end(request.method === 'HEAD' ? undefined : bytes),
      () => response.writeHead(404).end(),
    );
  });
  const write = ['--cache', at('cache'), '--secret-key', key.file];
  const ls = (...more: string[]) =>
    box().carport(['pin', 'ls', '--cache', url, '--trusted-key', key.publicKey, ...more]);
  await box().succeed(['push', path, '--store', at('store'), '--to', at('cache'), '--secret-key', key.file]);
  expect(await ls()).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('cannot be listed') });
  for (const name of ['b', 'a']) await box().succeed(['pin', 'set', name, path, '--store', at('store'), ...write]);
  expect(await list()).toMatchObject({ version: 1, pins: ['a', 'b'], signatures: [expect.stringMatching(/^k-1:/)] });
  const shown = await ls('--json');
  expect(JSON.parse(shown.stdout)).toMatchObject({
    pins: [
      { name: 'a', state: 'good' },
      { name: 'b', state: 'good' },
    ],
  });
  expect(shown.stderr).toBe('');
  // Without the public key: who signs with a key trusts it.
  const own = await box().succeed(['pin', 'ls', 'a', '--cache', url, '--secret-key', key.file, '--json']);
  expect(JSON.parse(own.stdout)).toMatchObject({ pins: [{ name: 'a', state: 'good' }] });
  const used = await box().carport(['use', url, '--key', key.publicKey, '--yes']);
  expect(used).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('has signed what is there') });

  // A run that was killed has set a pin and not the list: the next one writes it anew.
  const before = await readFile(at(LIST));
  await box().succeed(['pin', 'set', 'c', path, '--store', at('store'), ...write]);
  await writeFile(at(LIST), before);
  const fsck = ['cache', 'fsck', at('cache'), '--trusted-key', key.publicKey];
  await box().succeed(['pin', 'set', 'c', path, '--store', at('store'), ...write]);
  expect(await list()).toMatchObject({ pins: ['a', 'b', 'c'] });
  await box().succeed(['pin', 'rm', 'c', '--cache', at('cache')]);
  expect(await list()).toMatchObject({ pins: ['a', 'b'], signatures: [] });
  expect(await ls()).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('there may be others') });
  await box().succeed(['pin', 'set', 'b', path, '--store', at('store'), ...write]);
  expect((await ls()).stderr).toBe('');

  // Names that somebody else writes there are no pins, and pins under other names are not believed.
  const hostile = JSON.stringify({ version: 1, pins: ['a', 'invented', 'moved'], signatures: [] });
  await writeFile(at(LIST), hostile);
  await copyFile(at('cache/carport/pins/a.json'), at('cache/carport/pins/moved.json'));
  const others = JSON.parse((await ls('--json')).stdout);
  expect(others).toMatchObject({
    pins: [{ name: 'a', state: 'good' }, { state: 'renamed' }],
  });
  for (const text of ['{', JSON.stringify({ version: 1, pins: ['../x'], signatures: [] }), 'x'.repeat(3_000_000)]) {
    await writeFile(at(LIST), text);
    expect(await ls()).toMatchObject({ exitCode: 6, stderr: expect.stringContaining('pins.json') });
    expect(await ls('a')).toMatchObject({ exitCode: 0 });
  }
  expect(await box().carport(fsck)).toMatchObject({ exitCode: 6, stdout: expect.stringContaining('pins.json') });
  await rm(at('cache/carport/pins/moved.json'));
  await box().succeed([...fsck, '--repair']);
  await box().succeed(['pin', 'set', 'a', path, '--store', at('store'), ...write]);
  expect(await list()).toMatchObject({ pins: ['a', 'b'] });
});
