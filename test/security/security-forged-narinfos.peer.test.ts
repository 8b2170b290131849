import { readdir, readFile, writeFile } from 'node:fs/promises';
import { execa } from 'execa';
import { beforeEach, describe, expect, it } from 'vitest';
import { parseNarInfo, renderNarInfo } from '#lib/nix/narinfo.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { useSampleCache } from '../support/sample-cache.js';
import type { SampleStore } from '../support/samples.js';
import { useSandbox } from '../support/sandbox.js';

/** What only a signature protects, and what nothing protects: a cache may say anything. */
describe('a cache that lies', () => {
  const sample = useSampleCache();
  const box = useSandbox();
  let samples: SampleStore;
  let cache: string;
  beforeEach(async () => {
    ({ samples } = sample());
    cache = await sample().copy(box().path('cache'));
  });

  const file = (path: string) => `${cache}/${hashPartOf(path)}.narinfo`;
  const edit = async (path: string, change: (text: string) => string) => {
    const text = await readFile(file(path), 'latin1');
    expect(change(text)).not.toBe(text);
    await writeFile(file(path), change(text), 'latin1');
  };
  const pull = (...more: readonly string[]) => {
    const { publicKey } = sample().keyFile;
    return box().carport(['pull', samples.top.path, '--from', cache, '--trusted-key', publicKey, ...more]);
  };
  const expectNothing = async () => {
    expect(await readdir(box().path('data/carport/nix/store')).catch(() => [])).toEqual([]);
    expect((await box().succeed(['store', 'ls'])).stdout).toBe('');
  };

  it('about which path it is, is found: another narinfo under the asked hash part', async () => {
    await writeFile(file(samples.top.path), await readFile(file(samples.base.path)));
    const { exitCode, stderr } = await pull();
    expect(exitCode).toBe(6);
    expect(stderr).toContain(`it is about \`${samples.base.path}\``);
    await expectNothing();
  });

  it('about references, is found: one more, one less, another', async () => {
    const base = samples.base.path.slice('/nix/store/'.length);
    for (const change of [
      (text: string) => text.replace(/^References: (.*)$/m, `References: ${base} $1`),
      (text: string) => text.replace(/^References: .*$/m, 'References: '),
      (text: string) => text.replace(/^References: .*$/m, `References: ${base}`),
    ]) {
      await edit(samples.top.path, change);
      const { exitCode, stderr } = await pull();
      expect(exitCode).toBe(6);
      expect(stderr).toContain('error[E_SIGNATURE]');
      await writeFile(
        file(samples.top.path),
        await readFile(`${sample().cache}/${hashPartOf(samples.top.path)}.narinfo`),
      );
    }
    await expectNothing();
  });

  it('about the NAR, is found: that of another path, with all its hashes', async () => {
    const other = parseNarInfo(await readFile(file(samples.base.path), 'latin1'));
    const info = parseNarInfo(await readFile(file(samples.top.path), 'latin1'));
    // The unsigned fields lead to the other NAR: NarHash is signed and does not fit.
    const { url, fileHash, fileSize } = other;
    await writeFile(
      file(samples.top.path),
      renderNarInfo({ ...info, url, fileHash: fileHash!, fileSize: fileSize! }),
      'latin1',
    );
    const ran = await pull();
    expect(ran.exitCode).toBe(6);
    expect((await box().succeed(['store', 'ls'])).stdout).not.toContain(samples.top.path);
    // With the signed fields of the other, too, the signature is not of this path.
    await writeFile(file(samples.top.path), renderNarInfo({ ...other, path: info.path }), 'latin1');
    expect((await pull()).exitCode).toBe(6);
  });

  it.each([
    '../outside.nar',
    '/etc/passwd',
    'nar/../../outside.nar',
    'nar/..%2f..%2foutside.nar',
    'https://evil.example/x.nar',
    'file:///etc/passwd',
    'nar/\\..\\..\\outside.nar',
  ])('about where the NAR is, leads nowhere: %s', async (url) => {
    const info = parseNarInfo(await readFile(file(samples.base.path), 'latin1'));
    await writeFile(box().path('outside.nar'), await readFile(`${cache}/${info.url}`));
    await edit(samples.base.path, (text) => text.replace(/^URL: .*$/m, `URL: ${url}`));
    for (const args of [
      ['pull', samples.base.path, '--from', cache],
      ['cache', 'cat', cache, `${samples.base.path}/empty`],
    ]) {
      const { exitCode, stdout } = await box().carport([...args, '--trusted-key', sample().keyFile.publicKey]);
      expect([[5, 6].includes(exitCode), stdout]).toEqual([true, '']);
    }
    await expectNothing();
  });

  it('in fields that nobody signs, is not believed: deriver, content address, unknown fields', async () => {
    const fake = `fixed:r:sha256:${'0'.repeat(52)}`;
    await edit(samples.base.path, (text) => `${text.replace(/^CA: .*\n/m, '')}CA: ${fake}\nEvil: yes\n`);
    expect((await pull()).exitCode).toBe(0);
    const { paths } = JSON.parse((await box().succeed(['store', 'info', samples.base.path, '--json'])).stdout);
    expect(paths[0].ca).toBeNull();
    const registered = `data/carport/nix/var/carport/info/${hashPartOf(samples.base.path)}.narinfo`;
    expect(await readFile(box().path(registered), 'utf8')).not.toMatch(/Evil|0{52}/);
  });

  it('by repeating a field, is found', async () => {
    for (const field of ['StorePath', 'NarHash', 'NarSize', 'References']) {
      const line = new RegExp(`^${field}: .*\n`, 'm').exec(await readFile(file(samples.top.path), 'latin1'))![0];
      await edit(samples.top.path, (text) => text + line.replace(/: .*/, field === 'NarSize' ? ': 1' : ': x'));
      expect((await pull()).exitCode, field).toBe(6);
      await writeFile(
        file(samples.top.path),
        await readFile(`${sample().cache}/${hashPartOf(samples.top.path)}.narinfo`),
      );
    }
    await expectNothing();
  });

  it('with a narinfo that is a link, a pipe or huge, does not hang or fill the memory', async () => {
    await execa('rm', [file(samples.top.path)]);
    await execa('mkfifo', [file(samples.top.path)]);
    expect((await pull()).exitCode).toBe(6);
    await execa('ln', ['-sf', '/dev/zero', file(samples.top.path)]);
    expect((await pull()).exitCode).toBe(6);
    await execa('truncate', ['-s', '10G', box().path('huge')]);
    await execa('ln', ['-sf', box().path('huge'), file(samples.top.path)]);
    expect((await pull()).exitCode).toBe(6);
    await expectNothing();
  });

  it('with a description that is damaged, is refused', async () => {
    for (const text of ['', 'Priority: 1\n', 'StoreDir: \n', '\0\0\0']) {
      await writeFile(`${cache}/nix-cache-info`, text);
      const { exitCode } = await pull();
      expect([2, 6], JSON.stringify(text)).toContain(exitCode);
    }
    await expectNothing();
  });

  it('in a listing, is refused when it is no listing, and cannot lead out of the path', async () => {
    const listing = `${cache}/${hashPartOf(samples.base.path)}.ls`;
    for (const root of [
      { type: 'directory', entries: { '..': { type: 'regular', size: 1 } } },
      { type: 'directory', entries: { 'a/b': { type: 'regular', size: 1 } } },
      { type: 'directory', entries: { x: { type: 'device' } } },
      { type: 'regular', size: -1 },
    ]) {
      await writeFile(listing, JSON.stringify({ version: 1, root }));
      expect((await box().carport(['cache', 'ls', cache, samples.base.path])).exitCode).toBe(6);
    }
    let nested = '{"type":"regular","size":1}';
    for (let depth = 0; depth < 5000; depth++) nested = `{"type":"directory","entries":{"d":${nested}}}`;
    await writeFile(listing, `{"version":1,"root":${nested}}`);
    expect((await box().carport(['cache', 'ls', cache, samples.base.path])).exitCode).toBe(6);
  });
});
