import { mkdir, writeFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { serve } from '../support/cache-commands.js';
import { useSandbox } from '../support/sandbox.js';

const box = useSandbox();
const ask = async (kind: string, env: Record<string, string> = {}, ...more: string[]) => {
  const ran = await box().carport(['completion', 'bash', '--candidates', kind, ...more], { env });
  expect([ran.exitCode, ran.stderr]).toEqual([0, '']);
  return ran.stdout.split('\n').filter((line) => line !== '');
};

/** Asked until it is there: on a busy machine half a second may be too short. */
const offered = (...args: Parameters<typeof ask>) => expect.poll(() => ask(...args));

it('the pins of a cache in files, on a web server and of those that were taken are offered', async () => {
  const cache = box().path('cache');
  await mkdir(`${cache}/carport/pins`, { recursive: true });
  for (const name of ['b', 'a', '$(x)', '--force']) await writeFile(`${cache}/carport/pins/${name}.json`, '{}');
  await offered('pins', { CARPORT_CACHE: cache }).toEqual(['a', 'b']);
  await offered('pins', {}, `--of=${cache}`).toEqual(['a', 'b']);

  let asked = 0;
  const list = JSON.stringify({ version: 1, pins: ['served'], signatures: [] });
  const url = await serve(({ url: path, method }, response) => {
    asked++;
    if (path !== '/carport/pins.json') response.writeHead(404).end();
    else response.end(method === 'HEAD' ? undefined : list);
  });
  await offered('pins', { CARPORT_FROM: url }).toEqual(['served']);

  const state = box().path('state');
  await mkdir(`${state}/carport/pins/one`, { recursive: true });
  await mkdir(`${state}/carport/pins/two`, { recursive: true });
  const s3 = 's3://bucket?endpoint=http://127.0.0.1:1&region=x';
  await writeFile(`${state}/carport/pins/one/2026-01-01T00:00:00.000Z`, `elsewhere in file:///elsewhere\n`);
  await writeFile(`${state}/carport/pins/two/2026-01-01T00:00:00.000Z`, `line of something else\n`);
  expect(await ask('pins', { CARPORT_FROM: s3, XDG_STATE_HOME: state })).toEqual([]);
  await offered('pins', { XDG_STATE_HOME: state }).toEqual(['elsewhere']);

  // Whoever wrote a checkout's file does not learn that somebody presses a key in it.
  await writeFile(box().path('work/carport.toml'), `from = ["${url}"]\n`);
  asked = 0;
  expect(await ask('pins')).toEqual([]);
  expect(asked).toBe(0);
  await offered('caches').toEqual([url]);
});

it('nothing is said of a server that does not answer, of a wrong list, or of settings that are wrong', async () => {
  const silent = await serve(() => undefined);
  const wrong = await serve((_, response) => response.end('{"version":1,"pins":["$(touch x)"],"signatures":[]}'));
  for (const from of [silent, wrong, 'http://127.0.0.1:1', 'ftp://x', '/nowhere']) {
    expect(await ask('pins', { CARPORT_FROM: from })).toEqual([]);
  }
  await writeFile(box().path('work/carport.toml'), 'from = ');
  expect(await ask('pins')).toEqual([]);
  expect(await ask('caches')).toEqual([]);
});

it('addresses with passwords are not offered', async () => {
  const caches = { CARPORT_FROM: 'https://user:hunter22@host.example/c file:///srv/cache' };
  await offered('caches', caches).toEqual(['file:///srv/cache']);
});
