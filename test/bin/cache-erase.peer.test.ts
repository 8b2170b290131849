import { existsSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { execa } from 'execa';
import { beforeEach, describe, expect, it } from 'vitest';
import { serve } from '../support/cache-commands.js';
import { describeWithPeer } from '../support/peers.js';
import { createSampleStore } from '../support/samples.js';
import { CARPORT, useSandbox } from '../support/sandbox.js';

/** Gives a program a terminal of its own; of util-linux. */
const script = (process.env.PATH ?? '').split(delimiter).map((directory) => join(directory, 'script'));
const scriptFile = script.find((file) => existsSync(file));

describe('carport cache erase', () => {
  const box = useSandbox();
  const cache = () => box().path('my-cache');
  beforeEach(async () => {
    const samples = await createSampleStore(box().root);
    await box().succeed(['push', samples.top.path, '--store', samples.root, '--to', cache()]);
    await mkdir(box().path('my-cache/releases'));
    await writeFile(box().path('my-cache/releases/v1'), '');
    await writeFile(box().path('my-cache/README'), '');
  });
  const names = async () => (await readdir(cache())).sort();
  const isWhole = async () => {
    expect((await box().succeed(['cache', 'ls', cache()])).lines).toHaveLength(3);
  };

  it('wants `--yes` where there is no terminal', async () => {
    for (const more of [[], ['--json'], ['--quiet']]) {
      const { exitCode, stdout, stderr } = await box().carport(['cache', 'erase', cache(), ...more], {
        input: 'my-cache\n',
      });
      expect([exitCode, stdout]).toEqual([2, '']);
      expect(stderr).toContain('this removes `my-cache` for good');
      expect(stderr).toContain('--yes');
    }
    await isWhole();
  });

  it('shows with `--dry-run` what would go, and removes nothing', async () => {
    const { lines, stderr } = await box().succeed(['cache', 'erase', cache(), '--dry-run']);
    expect(lines).toHaveLength(10);
    expect(stderr).toMatch(/: 10 objects of the cache \(.*\); 2 objects that are no part of it stay\n$/);
    const json = JSON.parse((await box().succeed(['cache', 'erase', cache(), '--dry-run', '--json'])).stdout);
    expect(json).toEqual({ version: 1, keys: lines, size: expect.any(Number), others: 2 });
    await isWhole();
  });

  it('removes the cache and nothing else with `--yes`', async () => {
    const { stdout, stderr } = await box().succeed(['cache', 'erase', cache(), '--yes']);
    expect(stdout).toBe('');
    expect(stderr).toContain('removed 10 of 10');
    expect(await names()).toEqual(expect.arrayContaining(['README', 'releases']));
    expect((await names()).filter((name) => /info$|\.ls$/.test(name))).toEqual([]);
    expect((await box().carport(['cache', 'info', cache()])).exitCode).toBe(5);
  });

  it('says of a web server at once that its cache cannot be erased, and asks it nothing', async () => {
    const asked: string[] = [];
    const url = await serve((request, response) => {
      asked.push(request.url!);
      response.end('StoreDir: /nix/store\n');
    });
    for (const more of [[], ['--yes'], ['--dry-run']]) {
      const { exitCode, stdout, stderr } = await box().carport(['cache', 'erase', url, ...more]);
      expect([exitCode, stdout]).toEqual([1, '']);
      expect(stderr).toContain('is a web server, whose cache cannot be erased');
      expect(stderr).toContain("hint: use the cache's `s3://` or `file://` URL");
    }
    expect(asked).toEqual([]);
  });

  describeWithPeer(scriptFile ? undefined : 'there is no `script` of util-linux', 'at a terminal', () => {
    /** Types when it is asked. */
    const eraseAt = async (typed: string) => {
      const command = `'${process.execPath}' '${CARPORT}' cache erase '${cache()}'`;
      const env = { ...box().env, PATH: process.env.PATH!, SHELL: '/bin/sh' };
      const running = execa(scriptFile!, ['-qec', command, '/dev/null'], { env, extendEnv: false, reject: false });
      let screen = '';
      running.stdout.on('data', (bytes: Buffer) => {
        const asked = screen.includes('remove it:');
        screen += bytes.toString();
        if (!asked && screen.includes('remove it:')) running.stdin.write(typed);
      });
      const { exitCode } = await running;
      return { exitCode, screen };
    };

    it('asks for the name, and removes when it is typed', async () => {
      const { exitCode, screen } = await eraseAt('my-cache\n');
      expect(screen).toContain('Type `my-cache` to remove it');
      expect(exitCode).toBe(0);
      expect((await box().carport(['cache', 'info', cache()])).exitCode).toBe(5);
    });

    it.each(['other\n', '\n', 'y\n', 'yes\n'])('removes nothing when %j is typed', async (typed) => {
      const { exitCode, screen } = await eraseAt(typed);
      expect(exitCode).toBe(2);
      expect(screen).toContain('nothing was removed');
      await isWhole();
    });

    it.each([
      ['\u0003', 130],
      ['\u0004', 2],
    ])('removes nothing at Ctrl-C and Ctrl-D (%j)', async (typed, wanted) => {
      const { exitCode, screen } = await eraseAt(typed);
      await isWhole();
      expect(screen).not.toContain('E_BUG');
      expect(exitCode).toBe(wanted);
    });
  });
});
