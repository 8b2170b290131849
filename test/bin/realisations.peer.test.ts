import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseRealisation, realisationFingerprint } from '#lib/nix/realisation.js';
import { parsePublicKey } from '#lib/signing/key.js';
import { verifyText } from '#lib/signing/signature.js';
import { createNixStore, describeWithNix, type NixStore, untilListening } from '../support/nix.js';
import { describeWithNixVersion, NIX_VERSIONS, type NixVersion } from '../support/nix-versions.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

/** A chain of content-addressed derivations, of which `tool` needs `compiler` for its build only, and one that is not. */
const EXPRESSION = `
  let
    run = name: more: script: derivation ({
      inherit name; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" script ];
    } // more);
    floating = { __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; };
  in rec {
    library = run "library" floating "echo library > $out";
    compiler = run "compiler" floating "echo compiler > $out";
    tool = run "tool" (floating // { outputs = [ "out" "dev" ]; })
      "read x < \${compiler}; echo \${library} > $out; echo $out > $dev";
    app = run "app" { } "echo \${tool} \${tool.dev} > $out";
  }
`;

const versions: readonly (NixVersion | undefined)[] = [undefined, ...NIX_VERSIONS];
for (const version of versions) {
  const body = () => {
    const box = useSandbox('all');
    let builder: NixStore;
    let key: KeyFile;
    let file: string;
    const cache = () => box().path('cache');
    beforeAll(async () => {
      builder = await createNixStore({ ...(version && { version }) });
      key = await box().makeKey('test-1');
      file = join(builder.root, 'default.nix');
      await writeFile(file, EXPRESSION);
      await builder.run('nix-build', [file, '-A', 'app', '--no-out-link']);
    });
    afterAll(() => builder.remove());
    const carport = (args: readonly string[], store = builder) => box().succeed(args, { env: store.env });
    const pathsOf = (...attributes: readonly string[]) =>
      builder.run('nix-build', [file, '--no-out-link', ...attributes.flatMap((each) => ['-A', each])]);

    /** A store that has nothing, and may build nothing. */
    const inFreshStore = async <T>(
      settings: Readonly<Record<string, string>>,
      work: (store: NixStore) => Promise<T>,
    ) => {
      const store = await createNixStore({ ...(version && { version }), settings: { 'max-jobs': '0', ...settings } });
      try {
        return await work(store);
      } finally {
        await store.remove();
      }
    };
    const trusting = () => ({ substituters: `file://${cache()}`, 'trusted-public-keys': key.publicKey });

    it('are pushed and signed: with the cache Nix builds nothing', async () => {
      const paths = (await pathsOf('app', 'tool.dev')).split('\n');
      const { stderr } = await carport(['push', ...paths, '--to', cache(), '--secret-key', key.file]);
      expect(stderr).not.toMatch(/warning|deprecated/);
      const names = await readdir(join(cache(), 'realisations'));
      for (const name of names) {
        const text = await readFile(join(cache(), 'realisations', name), 'utf8');
        const realisation = parseRealisation(text, '/nix/store');
        const fingerprint = realisationFingerprint(realisation);
        const verdict = verifyText(fingerprint, realisation.signatures, [parsePublicKey(key.publicKey)]);
        expect([`${realisation.id}.doi`, verdict.state]).toEqual([name, 'valid']);
      }
      await inFreshStore(trusting(), async (store) => {
        expect(await store.run('nix-build', [file, '-A', 'app', '--no-out-link'])).toBe(await pathsOf('app'));
        expect(await store.run('nix-build', [file, '-A', 'tool', '--no-out-link'])).toBe(await pathsOf('tool'));
      });
    });

    it('are handed on by a pull into Nix: then it builds nothing, without a cache', async () => {
      await inFreshStore({}, async (store) => {
        const paths = (await pathsOf('app', 'tool.dev')).split('\n');
        const from = ['--from', cache(), '--trusted-key', key.publicKey, '--store', 'nix'];
        const { stderr } = await carport(['pull', ...paths, ...from], store);
        expect(stderr).not.toContain('warning');
        expect(await store.run('nix-build', [file, '-A', 'app', '--no-out-link'])).toBe(await pathsOf('app'));
      });
    });

    it('lead to the outputs of a build closure, which is what Nix takes for it', async () => {
      const derivation = await builder.run('nix-instantiate', ['--quiet', file, '-A', 'app']);
      const theirs = await builder.run('nix-store', ['-qR', '--include-outputs', derivation]);
      const ours = JSON.parse((await carport(['closure', derivation, '--build', '--json'])).stdout);
      const outputs = (await pathsOf('app', 'tool', 'tool.dev', 'library', 'compiler')).split('\n');
      const all = new Set([...theirs.split('\n'), ...outputs]);
      expect(ours.paths.map(({ path }: { path: string }) => path).sort()).toEqual([...all].sort());
      expect(ours.missingOutputs).toEqual([]);
      const refreshed = box().path('refreshed');
      const args = ['cache', 'refresh-toolchain', '--file', file, 'app', '--to', refreshed, '--secret-key', key.file];
      expect((await carport(args)).lines.toSorted()).toEqual([...all].sort());
      await inFreshStore({ ...trusting(), substituters: `file://${refreshed}` }, async (store) => {
        expect(await store.run('nix-build', [file, '-A', 'compiler', '--no-out-link'])).toBe(await pathsOf('compiler'));
      });
    });

    it('are nobody’s without a signature: they are left out with a word', async () => {
      const theirs = box().path('theirs');
      const tool = await pathsOf('tool');
      await carport(['push', tool, '--to', theirs, '--secret-key', key.file]);
      const unsigned = box().path('unsigned');
      await carport(['push', tool, '--to', unsigned]);
      await rm(join(theirs, 'realisations'), { recursive: true });
      await builder.run('cp', ['-r', join(unsigned, 'realisations'), theirs]);
      await inFreshStore({}, async (store) => {
        const from = ['--from', theirs, '--trusted-key', key.publicKey, '--store', 'nix'];
        const { stderr } = await carport(['pull', tool, ...from], store);
        expect(stderr).toMatch(
          /the realisation `sha256:[0-9a-f]{64}!out` of .* is not signed by a trusted key, and is left out/,
        );
        await expect(store.run('nix-build', [file, '-A', 'tool', '--no-out-link'])).rejects.toThrow();
      });
    });

    it('are asked of a daemon, too; a push does without where there is no answer', { timeout: 120_000 }, async () => {
      const store = await createNixStore({ ...(version && { version }), ownStoreDir: true });
      const socket = { NIX_DAEMON_SOCKET_PATH: join(store.root, 'socket') };
      const env = { ...store.env, ...socket, NIX_REMOTE: 'daemon' };
      const library = await store.run('nix-build', [file, '-A', 'library', '--no-out-link']);
      const daemon = spawn('nix-daemon', [], { env: { ...store.env, ...socket }, stdio: 'ignore' });
      try {
        await untilListening(socket.NIX_DAEMON_SOCKET_PATH);
        await box().succeed(['push', library, '--to', box().path('of-daemon')], { env });
        expect((await readdir(box().path('of-daemon/realisations'))).length).toBe(1);
        await mkdir(join(store.root, 'broken'));
        await writeFile(join(store.root, 'broken/nix-daemon'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
        const broken = { ...env, PATH: `${join(store.root, 'broken')}:${store.env.PATH}` };
        const { stderr } = await box().succeed(['push', library, '--to', box().path('without')], { env: broken });
        expect(stderr).toContain(`\`${library}\` is the output of a content-addressed derivation`);
      } finally {
        daemon.kill();
        await store.remove();
      }
    });

    it('go with their cache', async () => {
      await carport(['cache', 'erase', cache(), '--yes']);
      const left = await readdir(cache(), { recursive: true, withFileTypes: true });
      expect(left.filter((entry) => entry.isFile())).toEqual([]);
    });
  };
  if (version === undefined) describeWithNix('realisations, the system’s Nix', body);
  else describeWithNixVersion(version, 'realisations', body);
}
