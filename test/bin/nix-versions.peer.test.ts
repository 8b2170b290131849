import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { hashPartOf } from '#lib/nix/store-path.js';
import { answerWith, useHttpServers } from '../support/http-server.js';
import { createNixStore, type NixStore, type NixStoreOptions } from '../support/nix.js';
import { describeWithNixVersion, NIX_VERSIONS } from '../support/nix-versions.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

/** Several outputs that refer to each other, a file that is not executable beside one that is, and enough paths for a batch of narinfos. */
const EXPRESSION = `
  let
    run = name: more: script: derivation ({
      inherit name; system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/bin:/usr/bin"; args = [ "-c" script ];
    } // more);
    text = builtins.toFile "text" "some text";
    tools = run "tools" { outputs = [ "out" "lib" ]; inherit text; } ''
      mkdir -p $out/bin "$lib/with space"
      echo "#!$lib $out" > $out/bin/tool; chmod +x $out/bin/tool
      ln -s /nowhere $out/dangling; seq 1 50000 > $lib/numbers; : > $lib/nothing; echo $text > "$lib/with space/name"
    '';
  in {
    all = run "everything" { tools = [ tools.out tools.lib ] ++ builtins.genList (n: builtins.toFile "some" (toString n)) 6; }
      "echo it was built; echo $tools > $out";
    itself = run "itself" { __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; } "echo $out > $out";
    odd = [
      (run "fixed" { outputHashMode = "flat"; outputHashAlgo = "sha256"; outputHash = builtins.hashString "sha256" "x"; } "")
      (run "floating" { __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; } tools.lib)
      (run "structured" { __structuredAttrs = true; list = [ 1 { deep = "é\\n"; } ]; } "")
    ];
  }
`;

for (const version of NIX_VERSIONS) {
  describeWithNixVersion(version, 'beside', () => {
    const box = useSandbox('all');
    const serve = useHttpServers();
    let builder: NixStore;
    let key: KeyFile;
    let file: string;
    let out: string;
    let cache: string;
    let infos: readonly object[];
    beforeAll(async () => {
      key = await box().makeKey('test-1');
      builder = await createNixStore({ version });
      file = join(builder.root, 'default.nix');
      await writeFile(file, EXPRESSION);
      out = await builder.run('nix-build', [file, '-A', 'all', '--no-out-link']);
      infos = await infosOf(builder);
      cache = box().path('cache');
      const { lines, stderr } = await carport(['push', out, '--to', cache, '--secret-key', key.file]);
      expect([lines.toSorted(), stderr.includes('warning')]).toEqual([await query(builder, '-R', out), false]);
    });
    afterAll(() => builder.remove());

    const carport = (args: readonly string[], store = builder) => box().succeed(args, { env: store.env });
    const query = async (store: NixStore, ...args: readonly string[]) =>
      (await store.run('nix-store', ['-q', ...args])).split('\n').sort();
    const trusting = () => ({ 'trusted-public-keys': key.publicKey, 'require-sigs': 'true' });
    const inFreshStore = async <T>(
      settings: Readonly<Record<string, string>>,
      work: (store: NixStore) => Promise<T>,
      options: NixStoreOptions = { version },
    ): Promise<T> => {
      const store = await createNixStore({ ...options, settings });
      try {
        return await work(store);
      } finally {
        await store.remove();
      }
    };
    /** What its store says of a closure: NAR hashes, sizes, references. */
    const infosOf = async (store: NixStore) => {
      const { stdout } = await carport(['closure', out, '--json'], store);
      const { paths } = JSON.parse(stdout) as { paths: readonly Record<string, unknown>[] };
      return paths.map(({ path, narHash, narSize, references }) => ({ path, narHash, narSize, references }));
    };

    it('what carport pushes can be read there, and is not taken without the signature of a trusted key', async () => {
      // With fields that Nix passes over.
      const narInfo = await readFile(join(cache, `${hashPartOf(out)}.narinfo`), 'latin1');
      expect(narInfo).toMatch(/^CarportChunks: 4:.*\nCarportBatch: [0-9a-z]{24} 10$/m);
      await inFreshStore({ ...trusting(), 'trusted-public-keys': 'other:'.concat('A'.repeat(43), '=') }, (store) =>
        expect(store.run('nix', ['copy', '--from', `file://${cache}`, out])).rejects.toThrow(/signature/),
      );
      const [lib] = (await query(builder, '-R', out)).filter((path) => path.endsWith('-tools-lib'));
      const at = ['--store', `file://${cache}`];
      const numbers = await builder.run('nix', ['store', 'cat', ...at, `${lib}/numbers`]);
      expect(numbers.split('\n').length).toBe(50_000);
      const listed = await builder.run('nix', ['store', 'ls', ...at, '-R', '-l', lib!]);
      expect(listed).toMatch(/dr-xr-xr-x .*with space\n-r--r--r-- .* 49 .*with space.name/);
    });

    it.each([
      ['a directory', 'it', { version }],
      ['a web server', 'it', { version }],
      ['a web server', 'the system’s Nix', {}],
    ])('what carport pushes is taken with its signatures from %s, by %s', async (kind, _, options) => {
      const { url } = await serve(async ({ url: path = '' }, response) => {
        const bytes = await readFile(join(cache, decodeURIComponent(path))).catch(() => undefined);
        answerWith(response, bytes ?? '', { status: bytes ? 200 : 404 });
      });
      await inFreshStore(
        trusting(),
        async (store) => {
          await store.run('nix', ['copy', '--from', kind === 'a directory' ? `file://${cache}` : url.href, out]);
          await store.run('nix-store', ['--verify', '--check-contents']);
          expect(await infosOf(store)).toEqual(infos);
        },
        options,
      );
    });

    it('what it pushes is pulled, into a store without Nix and into its own, and can be read there', async () => {
      const theirs = box().path('theirs');
      await builder.run('nix', ['copy', '--to', `file://${theirs}`, out]);
      await box().succeed(['cache', 'sign', theirs, '--secret-key', key.file, '--contents']);
      const from = ['--from', theirs, '--trusted-key', key.publicKey];
      const own = await box().succeed(['pull', out, ...from, '--store', box().path('own')]);
      expect(own.lines.toSorted()).toEqual(await query(builder, '-R', out));
      await inFreshStore({}, async (store) => {
        const { stderr } = await carport(['pull', out, ...from, '--store', 'nix'], store);
        expect(stderr).not.toContain('warning');
        expect(await infosOf(store)).toEqual(infos);
      });
    });

    it('what names itself, and is content-addressed, is taken by the system’s Nix, too, which hashes it otherwise', async () => {
      const path = await builder.run('nix-build', [file, '-A', 'itself', '--no-out-link']);
      const to = box().path('itself');
      await carport(['push', path, '--to', to, '--secret-key', key.file]);
      const other = await createNixStore();
      try {
        const args = ['pull', path, '--from', to, '--trusted-key', key.publicKey, '--store', 'nix'];
        await box().succeed(args, { env: other.env });
        expect(await other.run('nix', ['path-info', '--sigs', path])).toContain('test-1:');
      } finally {
        await other.remove();
      }
    });

    it('closures are the same in all forms, and derivations are shown as it shows them', async () => {
      const derivations = (await builder.run('nix-instantiate', ['--quiet', file, '-A', 'odd'])).split('\n');
      const [drv] = await query(builder, '--deriver', out);
      const build = JSON.parse((await carport(['closure', drv!, '--build', '--json'])).stdout);
      const paths = build.paths.map(({ path }: { readonly path: string }) => path).sort();
      expect(paths).toEqual(await query(builder, '-R', '--include-outputs', drv!));
      const theirs = JSON.parse(await builder.run('nix', ['derivation', 'show', drv!, ...derivations]));
      if (theirs.version !== 4) return;
      const files = [drv!, ...derivations].map((path) => builder.realPath(path));
      const ours = JSON.parse((await box().succeed(['derivation', 'show', '--format', '4', ...files])).stdout);
      expect(ours).toEqual(theirs);
    });
  });
}
