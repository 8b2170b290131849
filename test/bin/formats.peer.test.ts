import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GOLDEN, goldenBytes, goldenFiles, goldenText } from '../support/golden.js';
import { createNixStore, describeWithNix, type NixStore } from '../support/nix.js';
import { type Files, writeFiles } from '../support/samples.js';
import { useSandbox } from '../support/sandbox.js';

const TREES: Readonly<Record<string, Files>> = {
  tree: {
    'bin/run': { script: '#!/bin/sh\n' },
    'a-b/c': 'sorted after a.b?',
    'a.b': 'dot',
    a: 'letter',
    Z: 'upper case first',
    'with space/ÜTF-8 ✓': 'name',
    link: { link: '../outside' },
    empty: '',
    large: Buffer.alloc(300_001, 7),
  },
  small: { '1': '12345678', '2': '1234567' },
};

describeWithNix("carport's commands for scripts, beside Nix's", () => {
  const box = useSandbox('all');
  let nix: NixStore;
  beforeAll(async () => {
    nix = await createNixStore();
    for (const [name, files] of Object.entries(TREES)) await writeFiles(box().path('work', name), files);
    await mkdir(box().path('work/empty-dir'));
    await writeFile(box().path('work/file'), 'one file');
  });
  afterAll(() => nix.remove());
  const inputs = ['tree', 'small', 'empty-dir', 'file', 'tree/link', 'tree/bin/run'];

  it.each(inputs)('nar pack and unpack `%s` as nix-store --dump and --restore do', async (name) => {
    const path = box().path('work', name);
    const wanted = await nix.runForBytes('nix-store', ['--dump', path]);
    const { bytes } = await box().succeed(['nar', 'pack', path]);
    expect(Buffer.from(bytes).equals(wanted)).toBe(true);
    const target = box().path(`unpacked-${name.replaceAll('/', '-')}`);
    await box().succeed(['nar', 'unpack', '-', target], { input: wanted });
    expect(Buffer.from(await nix.runForBytes('nix-store', ['--dump', target])).equals(wanted)).toBe(true);
  });

  it('nar ls lists what `nix nar ls` lists, also as JSON', async () => {
    const nar = box().path('tree.nar');
    await writeFile(nar, await nix.runForBytes('nix-store', ['--dump', box().path('work/tree')]));
    const ours = JSON.parse((await box().succeed(['nar', 'ls', nar, '--json'])).stdout);
    const wanted = JSON.parse(await nix.run('nix', ['nar', 'ls', '--json', '--recursive', nar, '/']));
    expect(withExecutables(ours.root ?? ours)).toEqual(withExecutables(wanted));
    const { lines } = await box().succeed(['nar', 'ls', nar]);
    const text = await nix.run('nix', ['nar', 'ls', '--recursive', '--long', nar, '/']);
    const nameOf = (line: string) => line.replace(/^\S+ +\d+ /, '');
    expect(lines.slice(1).map(nameOf)).toEqual(text.split('\n').map(nameOf));
  });

  it.each(['sha256', 'sha512', 'sha1', 'md5'])('hash computes %s of paths and files', async (algorithm) => {
    for (const [kind, name, flags] of [
      ['path', 'tree', []],
      ['file', 'file', ['--flat']],
    ] as const) {
      const path = box().path('work', name);
      const ask = (...more: string[]) => nix.run('nix-hash', ['--type', algorithm, ...flags, ...more, path]);
      const base16 = await ask();
      const to = (format: string) => nix.run('nix', ['hash', `to-${format}`, '--type', algorithm, base16]);
      const wanted: Record<string, string> = { nix32: await ask('--base32'), sri: await to('sri') };
      if (algorithm === 'sha256') Object.assign(wanted, { base16, base64: await to('base64') });
      for (const [format, hash] of Object.entries(wanted)) {
        const args = ['hash', kind, path, '--format', format, '--algorithm', algorithm];
        expect((await box().succeed(args)).stdout, args.join(' ')).toBe(`${hash}\n`);
      }
      const json = JSON.parse((await box().succeed(['hash', kind, path, '--json', '--algorithm', algorithm])).stdout);
      expect(json).toEqual({ version: 1, path, algorithm, format: 'sri', hash: wanted.sri });
    }
  });
});

describe('narinfo show', () => {
  const box = useSandbox('all');
  const names = goldenFiles('cache', '.narinfo');
  const file = (name: string) => join(GOLDEN, 'cache', name);
  const key = goldenText('public-key.txt').trim();

  it('prints the canonical text of files, which those of Nix are', async () => {
    const { bytes } = await box().succeed(['narinfo', 'show', ...names.map(file)]);
    expect(Buffer.from(bytes).toString('latin1')).toBe(names.map((name) => goldenText('cache', name)).join('\n'));
    for (const name of names.slice(0, 2)) {
      const shown = await box().succeed(['narinfo', 'show', '-'], { input: goldenBytes('cache', name) });
      expect(Buffer.from(shown.bytes).equals(goldenBytes('cache', name))).toBe(true);
    }
  });

  it('prints JSON with every field', async () => {
    const { version, narinfos } = JSON.parse(
      (await box().succeed(['narinfo', 'show', ...names.map(file), '--json'])).stdout,
    );
    expect(version).toBe(1);
    expect(narinfos).toHaveLength(names.length);
    for (const [index, narinfo] of narinfos.entries()) {
      expect(goldenText('cache', names[index]!)).toContain(`StorePath: ${narinfo.storePath}\n`);
      expect(narinfo).toMatchObject({ narHash: expect.stringMatching(/^sha256-/), narSize: expect.any(Number) });
      expect(Object.keys(narinfo)).toEqual(expect.arrayContaining(['deriver', 'ca', 'fileHash', 'unknownFields']));
    }
  });

  it('with keys exits with 6 unless each is signed by one of them', async () => {
    const show = (...more: readonly string[]) => box().carport(['narinfo', 'show', ...names.map(file), ...more]);
    const other = (await box().makeKey('other')).publicKey;
    expect((await show('--trusted-key', key)).exitCode).toBe(0);
    expect((await show('--trusted-key', other, '--trusted-key', key)).exitCode).toBe(0);
    expect((await show('--trusted-key', other)).exitCode).toBe(6);
    const unsigned = box().path('unsigned.narinfo');
    await writeFile(unsigned, goldenText('cache', names[0]!).replace(/^Sig: .*\n/m, ''), 'latin1');
    const mixed = await box().carport(['narinfo', 'show', file(names[1]!), unsigned, '--trusted-key', key]);
    expect(mixed.exitCode).toBe(6);
    expect(mixed.stderr).toContain(`\`${unsigned}\`: no signature by a trusted key`);
    expect((await box().carport(['narinfo', 'show', unsigned])).exitCode).toBe(0);
  });

  it('exits with 6 for what is no narinfo', async () => {
    await writeFile(box().path('odd'), 'StorePath: x\n');
    const { exitCode, stdout, stderr } = await box().carport(['narinfo', 'show', file(names[0]!), box().path('odd')]);
    expect([exitCode, stdout]).toEqual([6, '']);
    expect(stderr).toContain(`error[E_FORMAT]: \`${box().path('odd')}\` is not a narinfo`);
  });
});

describe('derivation show', () => {
  const box = useSandbox('all');
  const names = goldenFiles('drv', '.drv');
  const file = (name: string) => join(GOLDEN, 'drv', name);

  it('prints what `nix show-derivation` prints, of all files as one object', async () => {
    const { bytes } = await box().succeed(['derivation', 'show', ...names.map(file)]);
    const shown = JSON.parse(Buffer.from(bytes).toString('latin1'));
    const wanted = names.map((name) => JSON.parse(goldenText('drv', `${name}.show`)));
    expect(shown).toEqual(Object.assign({}, ...wanted));
  });

  it('prints the canonical text of files', async () => {
    const { bytes } = await box().succeed(['derivation', 'show', '--aterm', ...names.map(file)]);
    expect(Buffer.from(bytes).toString('latin1')).toBe(names.map((name) => goldenText('drv', name)).join(''));
  });

  it('recomputes output paths from the inputs beside it', async () => {
    const { stdout } = await box().succeed(['derivation', 'show', '--outputs', ...names.map(file)]);
    const shown = JSON.parse(stdout);
    for (const name of names) {
      const wanted = JSON.parse(goldenText('drv', `${name}.show`))[`/nix/store/${name}`].outputs;
      expect(shown[`/nix/store/${name}`].outputs, name).toEqual(wanted);
    }
  });

  it('exits with 6 when the file or an output is not what the text gives', async () => {
    const [name] = names as [string];
    await mkdir(box().path('drv'));
    for (const each of names) await copyFile(file(each), box().path('drv', each));
    const text = goldenText('drv', name);
    await writeFile(box().path('drv', name), text.replace('"/bin/sh"', '"/bin/zz"'), 'latin1');
    const changed = await box().carport(['derivation', 'show', box().path('drv', name)]);
    expect(changed.exitCode).toBe(6);
    expect(changed.stderr).toContain(`\`${name}\` should be`);

    const withPath = names.find((each) => /"out","\/nix\/store\//.test(goldenText('drv', each)))!;
    const other = goldenText('drv', withPath).replace(/("out","\/nix\/store\/)./, '$1z');
    await writeFile(box().path('odd.drv'), other, 'latin1');
    const outputs = await box().carport(['derivation', 'show', '--outputs', box().path('odd.drv')]);
    expect(outputs.exitCode).toBe(6);
    await writeFile(box().path('none.drv'), 'Derive([)');
    expect((await box().carport(['derivation', 'show', box().path('none.drv')])).exitCode).toBe(6);
  });

  it('knows every golden file', async () => {
    expect((await readdir(join(GOLDEN, 'drv'))).length).toBe(names.length * 2);
    expect((await readFile(file(names[0]!))).length).toBeGreaterThan(50);
  });
});

/** Listings of old Nix name `executable` only when it is so, and no offsets. */
function withExecutables(node: Record<string, unknown>): unknown {
  if (node.type === 'directory') {
    const entries = Object.entries(node.entries as Record<string, Record<string, unknown>>);
    return {
      type: 'directory',
      entries: Object.fromEntries(entries.map(([name, child]) => [name, withExecutables(child)])),
    };
  }
  const { executable = false, narOffset: _, ...rest } = node;
  return node.type === 'regular' ? { executable, ...rest } : rest;
}
