import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { expect, it } from 'vitest';
import { makeProjectLinks } from '#bin/project/links.js';
import type { RunTargets } from '#bin/run/targets.js';
import { makeShims, removeShims } from '#bin/shims/make.js';
import { noteDirectory, writeRecord } from '#bin/shims/record.js';
import { fakeContext } from '../support/context.js';
import { useSandbox } from '../support/sandbox.js';

const box = useSandbox();
const RECORD = { names: [], project: null, storePaths: [], realPath: '/nowhere', inPlace: true, programs: ['cc'] };

/** What a toolchain is run with that has one program. */
async function foundAt(storePath: string): Promise<RunTargets> {
  await mkdir(`${storePath}/bin`, { recursive: true });
  await writeFile(`${storePath}/bin/cc`, '', { mode: 0o755 });
  const info = { path: storePath };
  const store = { storeDir: dirname(storePath), realPath: () => storePath };
  return { names: ['cc'], roots: [info], closure: [info], store, own: undefined } as unknown as RunTargets;
}

it.each(['.carport', '.carport/store'])(
  'shims and a project write and remove nothing through a link that a checkout brings as `%s`',
  async (link) => {
    const [directory, victim] = [box().path('shims'), box().path('victim')];
    for (const name of ['toolchains', 'shims', 'store']) {
      await mkdir(`${victim}/${name}/precious`, { recursive: true });
    }
    await writeFile(`${victim}/mounts`, 'precious');
    await mkdir(dirname(`${directory}/${link}`), { recursive: true });
    await symlink(victim, `${directory}/${link}`);
    const before = (await readdir(victim, { recursive: true })).sort();
    const env = box().env;
    const found = await foundAt(box().path(`nix/store/${'0'.repeat(32)}-cc`));
    const context = fakeContext(env);
    await expect(makeShims(directory, found, context)).rejects.toMatchObject({
      code: 'E_USAGE',
      message: expect.stringContaining('is there, and is no directory'),
    });
    expect((await readdir(victim, { recursive: true })).sort()).toEqual(before);
    if (link !== '.carport') return;
    await writeRecord(directory, RECORD);
    await noteDirectory(directory, env);
    await expect(removeShims(directory, env)).rejects.toMatchObject({ code: 'E_USAGE' });
    const project = { directory, file: '', lockFile: '', toolchains: [] };
    await expect(makeProjectLinks(project, [], async () => {})).rejects.toMatchObject({ code: 'E_USAGE' });
    expect((await readdir(victim, { recursive: true })).sort()).toEqual([...before, 'shims.json'].sort());
  },
);

it('links of shims that versions of before have made are removed, and no others', async () => {
  const directory = box().path('shims');
  await mkdir(`${directory}/.carport/toolchains`, { recursive: true });
  for (const name of ['1', 'nix-2', 'gcc']) await symlink('/nowhere', `${directory}/.carport/toolchains/${name}`);
  await writeRecord(directory, RECORD);
  await removeShims(directory, box().env);
  expect(await readdir(directory, { recursive: true })).toEqual([
    '.carport',
    '.carport/toolchains',
    '.carport/toolchains/gcc',
  ]);
});
