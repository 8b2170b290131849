import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createNixStore, describeWithNix, type NixStore, type NixStoreOptions } from '../support/nix.js';
import { describeWithNixVersion } from '../support/nix-versions.js';
import { CARPORT, useSandbox } from '../support/sandbox.js';
import { narInfosOf } from '../support/transfers.js';

const SIX = `builtins.genList (i: derivation {
  name = "d-\${toString i}"; system = builtins.currentSystem; builder = "/bin/sh";
  args = [ "-c" "echo \${toString i} > $out" ];
}) 6`;

function watches(options: NixStoreOptions): void {
  const box = useSandbox('all');
  let nix: NixStore;
  beforeAll(async () => {
    nix = await createNixStore({ ...options, ownStoreDir: true });
  });
  afterAll(() => nix.remove());

  it('pushes what Nix builds beside it', async () => {
    const key = await box().makeKey('test-1');
    await writeFile(join(nix.root, 'six.nix'), SIX);
    await nix.build(
      'derivation { name = "old"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo > $out" ]; }',
    );
    const args = [
      'watch',
      '--to',
      box().path('cache'),
      '--secret-key',
      key.file,
      '--',
      'nix-build',
      '--no-out-link',
      'six.nix',
    ];
    const { exitCode, stdout, stderr } = await execa(process.execPath, [CARPORT, ...args], {
      cwd: nix.root,
      env: { ...box().env, ...nix.env, XDG_STATE_HOME: box().path('state') },
      extendEnv: false,
      reject: false,
    });
    expect({ exitCode, stderr }).toMatchObject({
      exitCode: 0,
      stderr: expect.stringContaining('carport: pushed 6 paths'),
    });
    expect([...(await narInfosOf(box().path('cache'))).keys()].sort()).toEqual(stdout.split('\n').sort());
  });
}

describeWithNix('watch, with the Nix of this system', () => watches({}));
describeWithNixVersion('sid', 'watch, with a newer Nix', () => watches({ version: 'sid' }));
