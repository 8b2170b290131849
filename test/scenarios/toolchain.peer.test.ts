import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDeveloper, type Developer } from '../support/developer.js';
import { describeWithGarage, useGarage } from '../support/garage.js';
import { TOP } from '../support/markdown.js';
import { createNixStore, describeWithNix, type NixStore } from '../support/nix.js';
import { missingProgram } from '../support/programs.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

const EXPRESSION = join(TOP, 'test/scenarios/toolchain/default.nix');
const HELLO = `#include <stdio.h>
int main(void) {
  puts("hello, world");
  return 0;
}
`;

describeWithNix(
  'a C toolchain that Nix has built',
  () => {
    const box = useSandbox('all');
    let builder: NixStore;
    let key: KeyFile;
    beforeAll(async () => {
      builder = await createNixStore();
      key = await box().makeKey('test-1');
      await publish('1', box().path('cache'));
    });
    afterAll(() => builder.remove());

    /** Builds it, and pushes it with what it takes to build it. */
    const publish = async (revision: string, to: string, env: Readonly<Record<string, string>> = {}) => {
      const args = [EXPRESSION, '--argstr', 'revision', revision];
      const derivation = await builder.run('nix-instantiate', args);
      await builder.run('nix-store', ['--realise', '--quiet', derivation]);
      await box().succeed(
        ['push', derivation, '--closure', 'build', '--pin', 'toolchain', '--to', to, '--secret-key', key.file],
        { env: { ...builder.env, ...env } },
      );
    };

    /** A machine where the cache is mounted, with settings for it. */
    const developerWith = async (name: string, from: string, shared: Readonly<Record<string, string>> = {}) => {
      const developer = await createDeveloper(box(), name, { shared, programs: ['rm'] });
      await mkdir(join(developer.directory, '.config/carport'), { recursive: true });
      const settings = `from = ["${from}"]\ntrusted-keys = ["${key.publicKey}"]\n`;
      await writeFile(join(developer.directory, '.config/carport/config.toml'), settings);
      await writeFile(join(developer.directory, 'hello.c'), HELLO);
      return developer;
    };

    const expectHello = async (developer: Developer) => {
      await developer.succeed('carport pull toolchain');
      const ran = await developer.shell('carport run toolchain -- cc hello.c && ./a.out');
      expect(ran).toMatchObject({ exitCode: 0, stdout: 'hello, world\n', stderr: '' });
    };

    it('is not built yet: it cannot be pinned, as nobody could run it', async () => {
      const derivation = await builder.run('nix-instantiate', [EXPRESSION, '--argstr', 'revision', 'new']);
      const to = ['--to', box().path('cache'), '--secret-key', key.file];
      const push = ['push', derivation, '--closure', 'build', '--pin', 'toolchain', '--dry-run', ...to];
      const { exitCode, stderr } = await box().carport(push, { env: builder.env });
      expect(exitCode).toBe(2);
      expect(stderr).toContain(`\`toolchain\` would stand for the derivation \`${derivation}\``);
      const [pin] = (await box().succeed(['pin', 'ls', '--from', box().path('cache')])).lines;
      expect(pin).toMatch(/ \/nix\/store\/\w{32}-cc-1 \/nix\/store\/\w{32}-cc-1-doc$/);
    });

    describe('on a machine without Nix', () => {
      let developer: Developer;
      beforeAll(async () => {
        developer = await developerWith('developer', 'file:///srv/cache', { '/srv/cache': box().path('cache') });
      });

      it('has nothing to begin with: no Nix, no /nix, no compiler, no rights', async () => {
        const look = async (script: string) => (await developer.shell(script)).stdout.trim();
        expect(await look('for program in nix nix-store cc gcc; do command -v $program; done')).toBe('');
        expect(await look('ls -d /nix /usr/lib/gcc/* /usr/include/*')).toBe('');
        expect(await look('[ -w / ] || [ -w /usr ] || [ -w /opt ] || echo read-only')).toBe('read-only');
        expect(await look('id -u')).toMatch(/^[1-9]/);
      });

      it('compiles, after a pull of its name', async () => {
        await expectHello(developer);
        expect(await developer.succeed('carport store verify')).toBe('');
      });

      it('has the compiler behind an out-link, and what else was built beside it', async () => {
        await developer.succeed('carport pull toolchain --out-link ./toolchain');
        expect(await developer.succeed('ls ./toolchain/bin ./toolchain-2/share/doc')).toContain('bin:\ncc');
        expect(await developer.succeed('carport run ./toolchain -- cc hello.c -o linked && ./linked')).toBe(
          'hello, world',
        );
        await developer.succeed('rm toolchain toolchain-2');
      });

      it('compiles in a shell, and runs what it compiled there', async () => {
        const script = "carport shell toolchain -- -c 'command -v cc; cc hello.c -o hello && ./hello'";
        const [compiler, hello] = (await developer.succeed(script)).split('\n');
        expect(compiler).toMatch(/^\/nix\/store\/[0-9a-z]{32}-cc-1\/bin\/cc$/);
        expect(hello).toBe('hello, world');
      });

      it('tells of a mistake in the program as the compiler does', async () => {
        const ran = await developer.shell(
          "echo 'int main(void) { return x; }' > bad.c; carport run toolchain -- cc bad.c",
        );
        expect(ran).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('bad.c:1:25: error') });
      });

      it('is renewed by another pull, and what it was can still be had', async () => {
        await publish('2', box().path('cache'));
        const compiler = 'command -v cc';
        expect(await developer.succeed(`carport run toolchain -- sh -c '${compiler}'`)).toContain('-cc-1/bin/cc');
        const { stderr } = await developer.shell('carport pull toolchain');
        expect(stderr).toContain('2 to fetch');
        expect(await developer.succeed(`carport run toolchain -- sh -c '${compiler}'`)).toContain('-cc-2/bin/cc');
        await developer.succeed('carport pull toolchain@previous');
        expect(await developer.succeed(`carport run toolchain@previous -- sh -c '${compiler}'`)).toContain(
          '-cc-1/bin/cc',
        );
        await developer.succeed('carport store forget toolchain@previous && carport store gc');
        const ran = await developer.shell('carport run toolchain -- cc hello.c && ./a.out');
        expect(ran).toMatchObject({ exitCode: 0, stdout: 'hello, world\n' });
        expect((await developer.succeed('carport store ls')).includes('-cc-1\n')).toBe(false);
      });
    });

    describeWithGarage('on Garage', () => {
      const garage = useGarage();

      it('is had from the website of its bucket, by name', async () => {
        const bucket = await garage().freshBucket();
        await publish('1', garage().url(bucket), garage().env);
        const developer = await developerWith('reader', await garage().serve(bucket));
        await expectHello(developer);
      });
    });
  },
  missingProgram('gcc', 'bwrap'),
);
