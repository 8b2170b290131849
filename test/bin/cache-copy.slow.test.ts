import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { parseNarInfo } from '#lib/nix/narinfo.js';
import { serve } from '../support/cache-commands.js';
import { answerWith } from '../support/http-server.js';
import { useSampleCache } from '../support/sample-cache.js';
import { type SampleStore, snapshot } from '../support/samples.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

describe('carport cache copy', () => {
  const sample = useSampleCache();
  const box = useSandbox();
  let samples: SampleStore;
  let key: KeyFile;
  let from: string;
  let to: string;
  beforeEach(async () => {
    ({ samples, keyFile: key } = sample());
    from = await sample().copy(box().path('cache'));
    to = box().path('mirror');
    await box().succeed(['pin', 'set', 'tool', samples.top.path, '--to', from, '--secret-key', key.file]);
  });

  const copy = (...args: readonly string[]) =>
    box().carport(['cache', 'copy', from, to, '--trusted-key', key.publicKey, ...args]);
  const copied = async (...args: readonly string[]) => {
    const { exitCode, stdout, stderr } = await copy('--json', ...args);
    expect(exitCode, stderr).toBe(0);
    return JSON.parse(stdout);
  };
  let stores = 0;
  const pull = (what: string, { publicKey } = key) =>
    box().carport(['pull', what, '--from', to, '--trusted-key', publicKey, '--store', box().path(`s-${stores++}`)]);
  const narInfoOf = (cache: string, path: string) => `${cache}/${path.slice(11, 43)}.narinfo`;
  const edit = async (path: string, change: (text: string) => string) => {
    const file = narInfoOf(from, path);
    await writeFile(file, change(await readFile(file, 'latin1')), 'latin1');
  };

  it('copies a pin with its closure, as it is, and nothing the second time', async () => {
    const number = samples.paths.length;
    expect(await copied('tool')).toMatchObject({ copied: number, present: 0, pins: ['tool'], leftOut: [] });
    for (const name of await readdir(`${from}/nar`))
      expect(await readFile(`${to}/nar/${name}`), name).toEqual(await readFile(`${from}/nar/${name}`));
    expect((await pull('tool')).lines).toEqual(samples.paths);
    const before = await snapshot(to);
    expect(await copied('tool')).toMatchObject({ copied: 0, present: number, pins: [] });
    expect(await snapshot(to)).toEqual(before);
  });

  it('copies all of a cache, and only what is missing', async () => {
    await copied(samples.base.path);
    const all = await copied();
    expect(all.present).toBe(1);
    expect((await readdir(to)).sort()).toEqual((await readdir(from)).sort());
    expect((await pull('tool')).lines).toEqual(samples.paths);
  });

  it('copies again what the mirror has with other content, without a signature, or damaged', async () => {
    await copied('tool');
    const { top, base } = samples;
    const editCopy = async (path: string, change: (text: string) => string) =>
      writeFile(narInfoOf(to, path), change(await readFile(narInfoOf(to, path), 'latin1')), 'latin1');
    await editCopy(base.path, (text) => text.replace(/^Sig: .*\n/m, ''));
    await editCopy(top.path, (text) => text.replace(/^NarSize: .*$/m, 'NarSize: 1'));
    const third = samples.paths.find((path) => path !== top.path && path !== base.path)!;
    await editCopy(third, (text) => text.slice(0, 40));
    expect(await copied('tool')).toMatchObject({ copied: 3, present: samples.paths.length - 3 });
    expect((await pull('tool')).lines).toEqual(samples.paths);
  });

  it('signs what it copies with another key, too', async () => {
    const own = await box().makeKey('mirror-1');
    await copied(samples.top.path, '--secret-key', own.file);
    for (const reader of [key, own]) expect((await pull(samples.top.path, reader)).lines).toEqual(samples.paths);
    const later = await box().makeKey('mirror-2');
    await copied(samples.top.path, '--secret-key', later.file);
    expect((await pull(samples.top.path, later)).lines).toEqual(samples.paths);
  });

  it('changes nothing with --dry-run', async () => {
    expect(await copied('tool', '--dry-run')).toMatchObject({ copied: samples.paths.length, dryRun: true });
    await expect(readdir(to)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('leaves a narinfo out that no trusted key has signed, and what refers to it', async () => {
    await edit(samples.base.path, (text) => text.replace(/^Sig: .*\n/m, ''));
    const one = await copy('tool');
    expect(one).toMatchObject({ exitCode: 6, stderr: expect.stringContaining('is not signed by a trusted key') });
    const all = await copy('--json');
    expect(all.exitCode).toBe(6);
    const { leftOut, pins } = JSON.parse(all.stdout);
    expect(leftOut.map(({ path }: { path: string }) => path)).toContain(samples.top.path);
    expect(pins).toEqual([]);
    expect((await readdir(to)).includes(narInfoOf('', samples.top.path).slice(1))).toBe(false);
  });

  it('takes no NAR that is another than was signed, and then goes on where it stopped', async () => {
    const { url } = parseNarInfo(await readFile(narInfoOf(from, samples.top.path), 'latin1'));
    const whole = await readFile(`${from}/${url}`);
    const damaged = Buffer.from(whole);
    damaged[damaged.length >> 1]! ^= 1;
    await rm(`${from}/${url}`);
    await writeFile(`${from}/${url}`, damaged);
    const ran = await copy('tool');
    expect(ran).toMatchObject({ exitCode: 6, stderr: expect.stringContaining(`the NAR of \`${samples.top.path}\``) });
    expect(await readdir(to)).not.toContain(narInfoOf('', samples.top.path).slice(1));
    await writeFile(`${from}/${url}`, whole);
    expect(await copied('tool')).toMatchObject({ pins: ['tool'] });
    expect((await pull('tool')).lines).toEqual(samples.paths);
  });

  it('copies a NAR whose narinfo names it otherwise under the hash of its bytes', async () => {
    const { url } = parseNarInfo(await readFile(narInfoOf(from, samples.base.path), 'latin1'));
    await writeFile(`${from}/nar/other`, await readFile(`${from}/${url}`));
    await edit(samples.base.path, (text) =>
      text.replace(/^URL: .*$/m, 'URL: ./nar/other?x=1').replace(/^File.*\n/gm, ''),
    );
    await copied(samples.base.path);
    const info = parseNarInfo(await readFile(narInfoOf(to, samples.base.path), 'latin1'));
    expect(info.url).toBe(url);
    expect((await pull(samples.base.path)).exitCode).toBe(0);
  });

  it('copies from a web server what is named', async () => {
    const directory = from;
    from = await serve(async (request, response) => {
      const body = await readFile(directory + request.url).catch(() => undefined);
      answerWith(response, body, { status: body ? 200 : 404 });
    });
    expect(await copied('tool')).toMatchObject({ copied: samples.paths.length, pins: ['tool'] });
    expect(await copy()).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('cannot be listed') });
    expect((await pull('tool')).lines).toEqual(samples.paths);
  });

  it('leaves another pin of the same name alone', async () => {
    await copied(samples.top.path);
    await box().succeed(['pin', 'set', 'tool', samples.base.path, '--to', to, '--secret-key', key.file]);
    const ran = await copy('tool');
    expect(ran).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('is another pin, and stays as it is') });
    expect((await pull('tool')).lines).toEqual([samples.base.path]);
  });

  it('is not copied to itself', async () => {
    to = from;
    expect(await copy()).toMatchObject({ exitCode: 2 });
  });
});
