import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createNixStore, describeWithNix, type NixStore, type NixStoreOptions } from '../support/nix.js';
import { describeWithNixVersion } from '../support/nix-versions.js';
import { describeWithS3Peer } from '../support/s3-peers.js';
import { CARPORT, useSandbox } from '../support/sandbox.js';
import { faultsOf, narInfosOf } from '../support/transfers.js';

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

describeWithNix('watch, with a server that is killed midway', () => {
  describeWithS3Peer('rclone', 'on rclone', (peer) => {
    const box = useSandbox('all');
    let nix: NixStore;
    beforeAll(async () => {
      nix = await createNixStore({ ownStoreDir: true });
    });
    afterAll(() => nix.remove());

    it('ends as the build does, tells what is missing, and the next run completes it', async () => {
      const bucket = join(peer().data, 'builds');
      const [key] = await Promise.all([box().makeKey('test-1'), mkdir(bucket)]);
      await writeFile(join(nix.root, 'six.nix'), SIX);
      const watch = (script: string) => {
        const to = ['--to', peer().url('builds'), '--retry-seconds', '1', '--secret-key', key.file];
        return execa(process.execPath, [CARPORT, 'watch', ...to, '--', '/bin/sh', '-c', script], {
          cwd: nix.root,
          env: { ...box().env, ...nix.env, ...peer().env, XDG_STATE_HOME: box().path('state'), BUCKET: bucket },
          extendEnv: false,
          reject: false,
        });
      };
      // Something is in the cache, and more is being built.
      const killed = await watch(`
        nix-build --no-out-link -E 'builtins.head (import ./six.nix)'
        left=1200
        until ls $BUCKET/*.narinfo > /dev/null 2>&1; do
          left=$((left - 1)); [ $left -gt 0 ] || exit 90
          sleep 0.1
        done
        kill -KILL ${peer().processId()}
        nix-build --no-out-link six.nix > all
        exit 7`);
      // The first may be there without an answer that says so.
      const told =
        /^carport: warning: [56] paths are not in the cache: .*\n(?: {2}\S+-d-\d\n){5}[\s\S]*next `carport watch`/m;
      expect(killed).toMatchObject({ exitCode: 7, stderr: expect.stringMatching(told) });
      const all = (await readFile(join(nix.root, 'all'), 'utf8')).trim().split('\n');
      expect(all).toHaveLength(6);
      expect((await narInfosOf(bucket)).size).toBe(1);

      await peer().restart();
      const next = await watch('exit 0');
      expect(next).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('carport: pushed') });
      expect(next.stderr).not.toContain('not in the cache');
      expect([...(await narInfosOf(bucket)).keys()].sort()).toEqual(all.sort());
      expect(await faultsOf(bucket)).toEqual([]);
    });
  });
});
