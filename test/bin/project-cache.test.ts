import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { useSandbox } from '../support/sandbox.js';

const CLONE = 'clone/deeper';
const NAMED = 'clone/carport.toml` names\n';

describe('a project, which somebody else may have written,', () => {
  const box = useSandbox();
  const cache = () => `file://${box().path('cache')}`;
  let user = '';
  const run = (line: string, env: Record<string, string> = {}) =>
    box().carport(
      line.split(' ').map((word) => (word === 'CACHE' ? cache() : word)),
      { cwd: box().path(CLONE), env: { XDG_CONFIG_HOME: user, ...env } },
    );
  const project = (text: string) => writeFile(box().path('clone/carport.toml'), text);

  beforeEach(async () => {
    user = box().path('config');
    await mkdir(box().path('clone/.git'), { recursive: true });
    await mkdir(box().path(CLONE));
    await mkdir(box().path('config/carport'), { recursive: true });
    await mkdir(box().path('cache'));
    await writeFile(box().path('cache/nix-cache-info'), 'StoreDir: /nix/store\n');
    await writeFile(box().path('k.sec'), `k-1:${Buffer.alloc(64).toString('base64')}`, { mode: 0o600 });
  });

  it.each([
    ['cache gc', '--apply --allow-unsigned'],
    ['cache fsck', '--repair --allow-unsigned --store nowhere'],
    ['cache sign', '--remove k-1 --secret-key none.sec'],
    ['pin rm tool', ''],
    ['release prune', '--keep 1 --apply --allow-unsigned'],
  ])('does not choose the cache of which `%s %s` removes something', async (command, more) => {
    await project(`cache = "${cache()}"\n`);
    const line = `${command} ${more}`.trim();
    const refused = [2, expect.stringMatching(/only `.*clone\/carport\.toml` names\n+hint: .*`--cache URL`.*`--yes`/)];
    const said = await run(line);
    expect([said.exitCode, said.stderr]).toEqual(refused);
    await project(`to = "${cache()}"\ncache = "${cache()}"\n`);
    expect((await run(line)).stderr).toContain(NAMED);
    const own = async (text: string) => writeFile(box().path('config/carport/config.toml'), text);
    await own('cache = "file:///elsewhere"\n');
    expect((await run(line)).stderr).toContain(NAMED);
    for (const ran of [
      await run(`${line} --yes`),
      await run(`${line} --cache CACHE`),
      await run(line, { CARPORT_CACHE: cache() }),
    ]) {
      expect(ran.stderr).not.toContain(NAMED);
    }
    await own(`cache = "${cache()}"\nto = "${cache()}"\n`);
    expect((await run(line)).stderr).not.toContain(NAMED);
  });

  it('may look all the same', async () => {
    await project(`cache = "${cache()}"\n`);
    for (const line of ['cache gc --allow-unsigned', 'cache fsck', 'release prune --keep 1']) {
      expect(await run(line)).toMatchObject({ exitCode: 0 });
    }
    expect((await run('pin rm tool --dry-run')).stderr).toContain('no pin `tool`');
  });

  it('takes its logo from itself', async () => {
    const svg = '<svg xmlns="http://www.w3.org/2000/svg"></svg>';
    for (const name of ['secret.svg', 'clone/own.svg']) await writeFile(box().path(name), svg);
    await symlink('../secret.svg', box().path('clone/link.svg'));
    await symlink('..', box().path('clone/up'));
    await symlink('own.svg', box().path('clone/inner.svg'));
    const publish = (more = '') => run(`index publish --cache CACHE --allow-unsigned --allow-empty --dry-run${more}`);
    for (const name of [
      box().path('secret.svg'),
      '../secret.svg',
      'link.svg',
      'up/secret.svg',
      '/etc/passwd',
      '/no/such',
      '../clone-2/x',
    ]) {
      await project(`logo = "${name}"\n`);
      const { exitCode, stderr } = await publish();
      expect([exitCode, stderr]).toEqual([
        2,
        expect.stringContaining(`\`${name}\` is not in the directory of the project`),
      ]);
    }
    for (const name of ['own.svg', './deeper/../own.svg', 'inner.svg', box().path('clone/own.svg')]) {
      await project(`logo = "${name}"\n`);
      expect(await publish()).toMatchObject({ exitCode: 0 });
    }
    expect(await publish(` --logo ${box().path('secret.svg')}`)).toMatchObject({ exitCode: 0 });
  });
});
