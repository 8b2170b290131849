import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { findShield } from '#lib/namespace/shield.js';
import { useDirectory } from '../../support/files.js';
import { linkPrograms } from '../../support/machines.js';

describe('what keeps signals from bubblewrap', () => {
  const directory = useDirectory();

  it.each(['env', 'perl'])('is %s, and a command that follows gets them again', async (program) => {
    await linkPrograms(directory(), [program, 'sh']);
    const { ignore, restore } = await findShield({ PATH: directory() });
    expect(ignore[0]).toBe(join(directory(), program));
    const ask = ['sh', '-c', 'kill -TERM $$; kill -INT $$; kill -HUP $$; echo ignored'];
    const env = { PATH: directory() };
    const [first, ...rest] = [...ignore, ...ask];
    expect((await execa(first!, rest, { env, extendEnv: false })).stdout).toBe('ignored');
    const [shielded, ...words] = [...ignore, ...restore, ...ask];
    expect((await execa(shielded!, words, { env, extendEnv: false, reject: false })).signal).toBe('SIGTERM');
  });

  it('passes arguments on as they are', async () => {
    for (const program of ['env', 'perl']) {
      await mkdir(join(directory(), program));
      await linkPrograms(join(directory(), program), [program]);
      const { ignore, restore } = await findShield({ PATH: join(directory(), program) });
      const [first, ...rest] = [...ignore, ...restore, '/usr/bin/printf', '<%s>', '-e', '', 'a b', 'c=d', '--'];
      expect((await execa(first!, rest)).stdout).toBe('<-e><><a b><c=d><-->');
    }
  });

  it('is nothing where neither is there', async () => {
    expect(await findShield({ PATH: directory() })).toEqual({ ignore: [], restore: [] });
    await rm(directory(), { recursive: true });
    expect(await findShield({})).toEqual({ ignore: [], restore: [] });
    await mkdir(directory());
  });
});
