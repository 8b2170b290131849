import { readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createNixStore, describeWithNix, type NixStore } from '../support/nix.js';
import { describeWithNixVersion, NIX_VERSIONS, type NixVersion } from '../support/nix-versions.js';
import { ageNars } from '../support/samples.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

/** A plain derivation of several outputs, with names that need care, and one that is content-addressed. */
const EXPRESSION = `
  let
    run = name: more: script: derivation ({
      inherit name; system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/bin:/usr/bin"; args = [ "-c" script ];
    } // more);
    floating = { __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; };
  in rec {
    tools = run "tools" { outputs = [ "out" "lib" ]; } ''
      mkdir -p $out/bin "$lib/with space" $lib/empty; echo "#!$lib $out" > $out/bin/tool; chmod +x $out/bin/tool
      ln -s bin/tool $out/tool; : > $lib/nothing; : > "$lib/with space/umläut"; seq 1 3000 > $lib/numbers
    '';
    tool = run "tool" floating "echo tool > $out";
    app = run "app" { } "echo \${tool} \${tools} \${tools.lib} > $out";
  }
`;

/** The newest one, and that of the system. */
const versions: readonly (NixVersion | undefined)[] = [undefined, NIX_VERSIONS.at(-1)];
for (const version of versions) {
  const body = () => {
    const box = useSandbox('all');
    let nix: NixStore;
    let key: KeyFile;
    let file: string;
    beforeAll(async () => {
      nix = await createNixStore({ ...(version && { version }) });
      key = await box().makeKey('nix-1');
      file = join(nix.root, 'default.nix');
      await writeFile(file, EXPRESSION);
      await nix.run('nix-build', [file, '-A', 'app', '--no-out-link']);
    });
    afterAll(() => nix.remove());

    const fsck = async (cache: string, ...args: readonly string[]) => {
      const trust = ['--trusted-key', key.publicKey];
      const ran = await box().carport(['cache', 'fsck', cache, '--json', ...trust, ...args], { env: nix.env });
      const lines = ran.stdout.split('\n').filter((line) => line !== '');
      const found = lines.map((line) => JSON.parse(line)).filter(({ type }) => type === 'finding');
      return { ...ran, found, kinds: [...new Set(found.map(({ kind }) => kind))].sort() };
    };

    it.each([version === undefined ? 'xz' : 'none'])(
      'is whole, and is mended from the store of Nix (%s)',
      async (compression) => {
        const cache = box().path(`cache-${compression}`);
        const to = `file://${cache}?compression=${compression}&secret-key=${key.file}&write-nar-listing=1`;
        const app = await nix.run('nix-build', [file, '-A', 'app', '--no-out-link']);
        await nix.run('nix', ['copy', '--to', to, app]);
        const drv = await nix.run('nix-instantiate', [file, '-A', 'tools']);
        await nix.run('nix', ['store', 'copy-log', '--to', to, drv.split('\n')[0]!.replace(/!.*/, '')]).catch(() => '');
        const first = await fsck(cache, '--contents');
        expect([first.exitCode, first.found], first.stderr).toEqual([0, []]);
        const [nar, other] = (await readdir(`${cache}/nar`)).map((name) => `${cache}/nar/${name}`);
        await rm(nar!);
        await truncate(other!, 50);
        await writeFile(`${cache}/${app.slice(11, 43)}.narinfo`, '');
        await ageNars(cache);
        expect((await fsck(cache)).exitCode).toBe(6);
        const repair = await fsck(cache, '--repair', '--store', 'nix', '--secret-key', key.file);
        expect(repair.exitCode, repair.stdout + repair.stderr).toBe(0);
        const second = await fsck(cache, '--contents');
        expect([second.exitCode, second.kinds], repair.stdout).toEqual([0, []]);
        const reader = await createNixStore({
          ...(version && { version }),
          settings: { 'trusted-public-keys': key.publicKey },
        });
        try {
          await reader.run('nix', ['copy', '--from', `file://${cache}`, app]);
          expect(await reader.run('nix-store', ['-q', '--hash', app])).toBe(
            await nix.run('nix-store', ['-q', '--hash', app]),
          );
        } finally {
          await reader.remove();
        }
      },
    );
  };
  const title = 'a cache that `nix copy` has written';
  if (version === undefined) describeWithNix(title, body);
  else describeWithNixVersion(version, `${title} (Nix of Debian ${version})`, body);
}
