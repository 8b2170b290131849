import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hashBytes } from '#lib/nix/hash.js';
import type { PathInfo } from '#lib/nix/path-info.js';
import { haveToldPaths } from '#lib/store/realisations.js';
import { useDirectory } from '../../support/files.js';

describe('haveToldPaths', () => {
  const directory = useDirectory();
  const pathOf = (name: string, digit = '0') => join(directory(), `${digit.repeat(32)}-${name}`);
  /** A path that refers to another one, or to itself only. */
  const made = (deriver?: string, refersTo = 'below'): PathInfo => ({
    ...{ path: pathOf('top'), narHash: hashBytes('sha256', Buffer.from('top')), narSize: 3, signatures: [] },
    ...{ references: [pathOf('top'), pathOf(refersTo)], ...(deriver && { deriver: pathOf(deriver, '1') }) },
  });
  const write = async (name: string, path: string, inputs: string, digit = '1') => {
    const text = `Derive([("out","${path}","","")],[${inputs}],["/in"],"x","/sh",[],[])`;
    await writeFile(pathOf(name, digit), text);
  };
  const INPUT = '("/nix/store/x.drv",["out"])';

  it('trusts a derivation that tells its path and names others, whatever else is there', async () => {
    await write('top.drv', pathOf('top'), INPUT);
    await write('below.drv', '', INPUT);
    expect(await haveToldPaths([made('top.drv')])).toBe(true);
    await write('top.drv', '', INPUT);
    expect(await haveToldPaths([made('top.drv')])).toBe(false);
  });

  it.each([undefined, 'gone.drv', 'resolved.drv'])(
    'looks at all that is there for what %s has made',
    async (deriver) => {
      await write('resolved.drv', pathOf('top'), '');
      await write('other.drv', pathOf('other'), INPUT);
      expect(await haveToldPaths([made(deriver)])).toBe(true);
      await write('below.drv', '', INPUT);
      expect(await haveToldPaths([made(deriver)])).toBe(false);
      // Nothing is below it.
      expect(await haveToldPaths([made(deriver, 'top')])).toBe(true);
      await write('resolved.drv', '', INPUT, '2');
      expect(await haveToldPaths([made(deriver, 'top')])).toBe(deriver !== 'resolved.drv');
    },
  );
});
