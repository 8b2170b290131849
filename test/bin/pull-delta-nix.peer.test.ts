import { afterAll, beforeAll, expect, it } from 'vitest';
import { useCacheServers } from '../support/cache-server.js';
import { createNixStore, describeWithNix, type NixStore } from '../support/nix.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

/** Everything refers to what has changed, and is the same but for that. */
const expression = (change: string) => `
  let
    make = name: attributes: script: derivation ({
      inherit name; system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/bin:/usr/bin";
      args = [ "-c" script ];
    } // attributes);
    base = builtins.toFile "base" "change ${change}";
    tools = make "tools-1.0" { inherit base; } ''
      mkdir -p $out/bin; echo "#!$out $base" > $out/bin/tool; chmod +x $out/bin/tool; ln -s $base $out/base
      ln -s bin/tool $out/tool
    '';
  in make "everything" { inherit base tools; } "seq 1 400000 > $out; echo $tools $out $base >> $out; seq 1 100000 >> $out"
`;

describeWithNix('a pull of a rebuild, with Nix', () => {
  const box = useSandbox('all');
  const serve = useCacheServers();
  let origin: NixStore;
  let nix: NixStore;
  let key: KeyFile;
  let before: string;
  let after: string;
  beforeAll(async () => {
    [origin, nix] = await Promise.all([createNixStore(), createNixStore()]);
    [before] = (await origin.build(expression('1'))) as [string];
    [after] = (await origin.build(expression('2'))) as [string];
    key = await box().makeKey('test-1');
    const push = ['push', before, after, '--to', box().path('cache'), '--secret-key', key.file, '--store', 'nix'];
    await box().succeed(push, { env: origin.env });
  });
  afterAll(() => Promise.all([origin.remove(), nix.remove()]));

  it('takes from the store of Nix what is there, into that store and into another one', async () => {
    const server = await serve(box().path('cache'));
    const pull = (what: string, store: string) =>
      box().succeed(['pull', what, '--from', server.url, '--trusted-key', key.publicKey, '--store', store], {
        env: nix.env,
      });
    await pull(before, 'nix');
    const whole = server.taken();
    await pull(after, box().path('own'));
    const own = server.taken();
    await pull(after, 'nix');
    const again = server.taken();
    for (const { bytes, requests } of [own, again]) {
      expect(bytes).toBeLessThan(5000);
      expect(requests).toBeLessThan(whole.requests);
    }
    expect(whole.bytes).toBeGreaterThan(200_000);
    await nix.run('nix-store', ['--verify', '--check-contents']);
    expect(await nix.run('nix-store', ['-qR', after])).toContain('-tools-1.0');
    const { stderr } = await box().succeed(['store', 'verify', '--store', box().path('own')]);
    expect(stderr).toMatch(/3 paths checked, all whole/);
  });
});
