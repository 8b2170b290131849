import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { hashPartOf } from '#lib/nix/store-path.js';
import { useSampleCache } from '../support/sample-cache.js';
import { type SampleStore, sampleKey } from '../support/samples.js';
import { useSandbox } from '../support/sandbox.js';
import { narInfosOf } from '../support/transfers.js';

describe('a pull from several caches', () => {
  const sample = useSampleCache();
  const box = useSandbox();
  let samples: SampleStore;
  let [first, second]: string[] = [];
  beforeEach(async () => {
    ({ samples } = sample());
    first = await sample().copy(box().path('first'));
    second = await sample().copy(box().path('second'));
  });

  const pull = (caches: readonly string[], ...more: readonly string[]) => {
    const from = caches.flatMap((cache) => ['--from', cache]);
    const { publicKey } = sample().keyFile;
    return box().carport(['pull', samples.top.path, ...from, '--trusted-key', publicKey, ...more]);
  };
  const narOf = async (cache: string, path: string) => `${cache}/${(await narInfosOf(cache)).get(path)!.url}`;
  const narInfoOf = (cache: string, path: string) => `${cache}/${hashPartOf(path)}.narinfo`;
  const flip = async (file: string) => {
    const bytes = await readFile(file);
    bytes[bytes.length >> 1]! ^= 1;
    await writeFile(file, bytes);
  };
  const expectWhole = async ({ exitCode, lines, stderr }: Awaited<ReturnType<typeof pull>>) => {
    expect(exitCode, stderr).toBe(0);
    expect(lines).toEqual(samples.paths);
    await box().succeed(['store', 'verify']);
  };

  it('takes a path from the next when the first does not have it', async () => {
    await rm(narInfoOf(first!, samples.base.path));
    await expectWhole(await pull([first!, second!]));
  });

  it('falls through to the next when a NAR is missing, and says so', async () => {
    await rm(await narOf(first!, samples.middle.path));
    const ran = await pull([first!, second!]);
    expect(ran.stderr).toContain(
      `warning: \`file://${first}\` has a narinfo of \`${samples.middle.path}\`, but not its NAR; trying the next cache`,
    );
    await expectWhole(ran);
  });

  it('falls through to the next when a NAR is damaged, and says so', async () => {
    await flip(await narOf(first!, samples.middle.path));
    const ran = await pull([first!, second!]);
    expect(ran.stderr).toContain(`warning: the NAR of \`${samples.middle.path}\` in \`file://${first}\` is damaged`);
    await expectWhole(ran);
  });

  it('falls through to the next when a narinfo is damaged, unsigned or wrongly signed', async () => {
    await writeFile(narInfoOf(first!, samples.base.path), 'damaged');
    const unsign = async (path: string, replacement: string) => {
      const text = await readFile(narInfoOf(first!, path), 'utf8');
      await writeFile(narInfoOf(first!, path), text.replace(/^Sig: .*\n/m, replacement));
    };
    await unsign(samples.middle.path, '');
    await unsign(samples.top.path, `Sig: test-1:${Buffer.alloc(64, 1).toString('base64')}\n`);
    await expectWhole(await pull([first!, second!]));
  });

  it('asks by priority, the lower first, whatever the order of the options', async () => {
    await writeFile(`${first}/nix-cache-info`, 'StoreDir: /nix/store\nPriority: 50\n');
    await writeFile(`${second}/nix-cache-info`, 'StoreDir: /nix/store\nPriority: 10\n');
    for (const path of samples.paths) await flip(await narOf(first!, path));
    for (const [index, caches] of [
      [first!, second!],
      [second!, first!],
    ].entries()) {
      const ran = await pull(caches, '--store', box().path(`store-${index}`));
      expect(ran.stderr).not.toContain('warning');
      expect([ran.exitCode, ran.lines]).toEqual([0, samples.paths]);
    }
  });

  it('gives up when the last cache fails too, and names the failure of the first', async () => {
    for (const cache of [first!, second!]) await flip(await narOf(cache, samples.middle.path));
    const { exitCode, stdout, stderr } = await pull([first!, second!]);
    expect([exitCode, stdout]).toEqual([6, '']);
    expect(stderr).toMatch(/error\[E_INTEGRITY\]: the NAR of `.*-middle-2.0` in `.*\/(first|second)` is damaged/);
    const { lines } = await box().succeed(['store', 'ls']);
    expect(lines.filter((path) => path !== samples.base.path)).toEqual([]);
  });

  it('takes different paths of a closure from different caches', async () => {
    await rm(narInfoOf(first!, samples.base.path));
    await rm(await narOf(second!, samples.top.path));
    await rm(narInfoOf(second!, samples.middle.path));
    await expectWhole(await pull([first!, second!]));
  });

  it.each(['is gone', 'is a directory'])('says what needs a path whose narinfo %s', async (what) => {
    const { base, middle } = samples;
    await rm(narInfoOf(first!, base.path));
    if (what !== 'is gone') await mkdir(narInfoOf(first!, base.path));
    const commands = [
      ['pull', samples.top.path, '--from', first!],
      ['cache', 'copy', first!, box().path('copy'), samples.top.path],
    ];
    for (const args of commands) {
      const { exitCode, stderr } = await box().carport([...args, '--trusted-key', sample().keyFile.publicKey]);
      expect(exitCode).toBe(5);
      expect(stderr).toContain(`error[E_NOT_FOUND]: \`${base.path}\` is not in \`file://${first}\``);
      expect(stderr).toContain(`because \`${middle.path}\`, which \`file://${first}\` has, refers to it`);
      expect(stderr).toContain(`hint: the cache is not complete: push \`${middle.path}\` again with \`--check-all\`;`);
      expect(stderr).toContain('`carport cache fsck`');
    }
  });

  it('is not misled by a cache that says other things of a path than the signed ones', async () => {
    // A narinfo of an evil cache: its own references, with a signature of its own.
    const evil = sampleKey('evil', 9);
    const other = box().path('evil');
    await mkdir(other);
    await sample().transfers.push({ store: samples.root, roots: [samples.top.path], cache: other, keys: [evil] });
    const { exitCode, stderr } = await pull([other]);
    expect(exitCode).toBe(6);
    expect(stderr).toContain('is not signed by a trusted key');
    await expectWhole(await pull([other, first!]));
  });

  it('takes the caches of the environment, too', async () => {
    const env = { CARPORT_FROM: `${first} ${second}`, CARPORT_TRUSTED_KEYS: sample().keyFile.publicKey };
    await rm(narInfoOf(first!, samples.base.path));
    await expectWhole(await box().carport(['pull', samples.top.path], { env }));
  });
});
