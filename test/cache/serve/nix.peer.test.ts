import { spawn } from 'node:child_process';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readNarInfo } from '#cache/binary-cache.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { openFileStore } from '#lib/object-store/file.js';
import { openNixStore } from '#lib/store/nix/store.js';
import { describeWithGarage, useGarage } from '../../support/garage.js';
import { answerWith, useHttpServers } from '../../support/http-server.js';
import { createNixStore, describeWithNix, type NixStore } from '../../support/nix.js';
import { describeWithNixVersion, type NixVersion } from '../../support/nix-versions.js';
import { CARPORT, type KeyFile, useSandbox } from '../../support/sandbox.js';
import { useCacheServers } from '../../support/serve.js';
import { useStores } from '../../support/stores.js';

/** A path of several pieces, small ones, and one that refers to itself. */
const expression = (libc: string) => `
  let
    libc = builtins.toFile "libc" "${libc}";
    run = name: script: derivation {
      inherit name; system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/bin:/usr/bin"; args = [ "-c" script ];
    };
    large = run "large" "echo \${libc} > $out; seq 1 600000 >> $out";
    small = map (n: run "small-\${toString n}" "echo \${large} \${toString n} > $out") [ 1 2 3 ];
  in run "all" "mkdir $out; echo $out \${toString small} > $out/all"
`;

/** A path that refers to many. */
const WIDE = 60;
const wideExpression = `
  let
    run = name: script: derivation {
      inherit name; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" script ];
    };
    parts = builtins.genList (n: builtins.toFile "part-\${toString n}" "part \${toString n}") ${WIDE};
  in run "wide" "echo \${toString parts} > $out"
`;

const describeVersion = (version: NixVersion | undefined, body: () => void) =>
  version ? describeWithNixVersion(version, 'for another Nix', body) : describe('for Nix 2.8', body);

describeWithNix('carport serve', () => {
  const box = useSandbox('all');
  const serve = useCacheServers();
  const openStores = useStores();
  const upstream = useHttpServers();
  let key: KeyFile;
  let builder: NixStore;
  let cache: string;
  let out: string;
  let closure: string;
  let many: string;
  let wide: string;
  const stores: NixStore[] = [];
  beforeAll(async () => {
    key = await box().makeKey('test-1');
    builder = await createNixStore();
    [out] = (await builder.build(expression('one'))) as [string];
    closure = await builder.run('nix-store', ['-qR', out]);
    cache = box().path('cache');
    const push = ['push', out, '--store', 'nix', '--to', cache, '--secret-key', key.file];
    await box().succeed(push, { env: builder.env });
    many = box().path('many');
    [wide] = (await builder.build(wideExpression)) as [string];
    const options = ['--store', 'nix', '--to', many, '--secret-key', key.file];
    await box().succeed(['push', wide, ...options], { env: builder.env });
  });
  afterAll(async () => {
    await Promise.all([builder, ...stores].map((store) => store.remove()));
  });

  for (const version of [undefined, 'sid'] as const) {
    describeVersion(version, () => {
      /** A store whose substituters are these, in this order. */
      const storeWith = async (...substituters: readonly string[]) => {
        const settings = {
          substituters: substituters.join(' '),
          'trusted-public-keys': key.publicKey,
          'require-sigs': 'true',
          'narinfo-cache-negative-ttl': '0',
        };
        const store = await createNixStore({ ...(version && { version }), settings });
        stores.push(store);
        return store;
      };
      const expectWhole = async (store: NixStore) => {
        await store.run('nix-store', ['--verify', '--check-contents']);
        expect(await store.run('nix-store', ['-qR', out])).toBe(closure);
      };

      it('gives Nix a closure whose signatures it wants, once for several that ask at a time', async () => {
        const asked: string[] = [];
        const { url } = await upstream(async ({ url: path = '' }, response) => {
          asked.push(path);
          const bytes = await readFile(join(cache, path)).catch(() => undefined);
          answerWith(response, bytes ?? '', { status: bytes ? 200 : 404 });
        });
        const { open } = await openStores();
        const { address, events } = await serve({ caches: [open(url.href).objects] });
        const clients = await Promise.all(
          Array.from({ length: version ? 2 : 3 }, () => storeWith(`http://${address}`)),
        );
        await Promise.all(clients.map((store) => store.run('nix-store', ['-r', out])));
        for (const store of clients) await expectWhole(store);
        const nars = asked.filter((path) => path.includes('/nar/'));
        // A busy machine may have asked for one again.
        expect(new Set(nars).size).toBe(closure.split('\n').length);
        expect(nars.length).toBeLessThan(2 * closure.split('\n').length);
        expect(events.filter(({ type }) => type === 'warning')).toEqual([]);
      });

      it('asks for the narinfos of a closure in few requests', async () => {
        const asked: string[] = [];
        const { url } = await upstream(async ({ url: path = '' }, response) => {
          asked.push(path);
          const bytes = await readFile(join(many, path)).catch(() => undefined);
          answerWith(response, bytes ?? '', { status: bytes ? 200 : 404 });
        });
        const { open } = await openStores();
        const { address } = await serve({ caches: [open(url.href).objects] });
        const store = await storeWith(`http://${address}`);
        await store.run('nix-store', ['-r', wide]);
        await store.run('nix-store', ['--verify', '--check-contents']);
        const ending = (end: string) => asked.filter((path) => path.endsWith(end)).length;
        expect(asked.filter((path) => path.includes('carport/batches/'))).toHaveLength(1);
        // The root, a sixteenth or four, and what was under way by then.
        expect(ending('.narinfo')).toBeLessThan(WIDE / 3);
      });

      // What an older Nix does otherwise is above.
      if (version === undefined) return;

      it('lets Nix have a mass rebuild of which it has had the paths a moment before', async () => {
        const [next] = (await builder.build(expression('two'))) as [string];
        const rebuilt = box().path('rebuilt');
        await box().succeed(['push', next, '--store', 'nix', '--to', rebuilt, '--secret-key', key.file], {
          env: builder.env,
        });
        let bytesSent = 0;
        const { url } = await upstream(async ({ url: path = '', headers }, response) => {
          const bytes = await readFile(join(rebuilt, path)).catch(() => undefined);
          const [, from, to] = /^bytes=([0-9]+)-([0-9]+)$/.exec(headers.range ?? '') ?? [];
          const part = from === undefined ? bytes : bytes?.subarray(Number(from), Number(to) + 1);
          if (path.startsWith('/nar/')) bytesSent += part?.length ?? 0;
          const range = { 'content-range': `bytes ${from}-${to}/${bytes?.length}` };
          if (from !== undefined && part) return answerWith(response, part, { status: 206, headers: range });
          answerWith(response, bytes ?? '', { status: bytes ? 200 : 404 });
        });
        const { open } = await openStores();
        const store = await storeWith();
        const delta = {
          stores: [() => openNixStore(store.env)],
          storeDir: '/nix/store',
          memory: box().path(`memory-${version}`),
        };
        const { address } = await serve({ caches: [openFileStore(cache), open(url.href).objects], delta });
        for (const path of [out, next]) {
          await store.run('nix-store', ['-r', path, '--option', 'substituters', `http://${address}`]);
        }
        await store.run('nix-store', ['--verify', '--check-contents']);
        const sizes = await Promise.all(
          (await readdir(join(rebuilt, 'nar'))).map((name) => stat(join(rebuilt, 'nar', name))),
        );
        expect(bytesSent).toBeLessThan(0.2 * sizes.reduce((sum, { size }) => sum + size, 0));
      });

      it('passes on what nobody has signed, which Nix refuses', async () => {
        const { address } = await serve({ caches: [openFileStore(cache)] });
        const store = await storeWith(`http://${address}`);
        const other = { NIX_CONFIG: `trusted-public-keys = other-1:${key.publicKey.split(':')[1]}` };
        const client = { ...store.env, ...other };
        const run = spawn('nix-store', ['-r', out], { env: client, stdio: 'ignore' });
        expect(await new Promise((resolve) => run.once('close', resolve))).not.toBe(0);
      });

      it('has Nix go on to its next substituter where a NAR is wrong at its end', async () => {
        const large = closure.split('\n').find((path) => path.endsWith('-large'))!;
        const wrong = box().path('wrong');
        await box().succeed(
          ['push', out, '--store', 'nix', '--to', wrong, '--secret-key', key.file, '--compression', 'none'],
          {
            env: builder.env,
          },
        );
        const { url: nar } = (await readNarInfo(openFileStore(wrong), hashPartOf(large)))!;
        const bytes = await readFile(join(wrong, nar));
        bytes[bytes.length - 100]! ^= 1;
        await writeFile(join(wrong, nar), bytes);
        const { address, events } = await serve({ caches: [openFileStore(wrong)] });
        const store = await storeWith(`http://${address}`, `file://${cache}?priority=99`);
        await store.run('nix-store', ['-r', out]);
        await expectWhole(store);
        expect(events).toContainEqual(
          expect.objectContaining({ type: 'warning', message: expect.stringContaining(large) }),
        );
      });

      it('lets Nix end well by its other substituters when it is killed in the middle', async () => {
        // The upstream gives half of the large NAR, and then nothing.
        const { url } = await upstream(async ({ url: path = '' }, response) => {
          const bytes = await readFile(join(cache, path)).catch(() => undefined);
          if (bytes === undefined || bytes.length < 100_000) {
            return answerWith(response, bytes ?? '', { status: bytes ? 200 : 404 });
          }
          response.writeHead(200, { 'content-length': bytes.length }).write(bytes.subarray(0, bytes.length >> 1));
          setTimeout(() => child.kill('SIGKILL'), 500);
        });
        const child = spawn(process.execPath, [CARPORT, 'serve', '--from', url.href, '--listen', '127.0.0.1:0'], {
          env: box().env,
          stdio: ['ignore', 'pipe', 'ignore'],
        });
        const [line] = await new Promise<string[]>((resolve) => {
          createInterface({ input: child.stdout }).once('line', (text) => resolve(text.split(' ').slice(-1)));
        });
        const store = await storeWith(line!, `file://${cache}?priority=99`);
        await store.run('nix-store', ['-r', out, '--option', 'download-attempts', '2', '--fallback']);
        await expectWhole(store);
      });
    });
  }

  describeWithGarage('of a private bucket', () => {
    const garage = useGarage();
    it('gives Nix what it has no password for', async () => {
      const bucket = garage().url(await garage().freshBucket());
      const env = { ...builder.env, ...garage().env };
      await box().succeed(['push', out, '--store', 'nix', '--to', bucket, '--secret-key', key.file], { env });
      const { open } = await openStores();
      const { address } = await serve({ caches: [open(bucket, { env: garage().env }).objects] });
      const client = await createNixStore({
        settings: { 'trusted-public-keys': key.publicKey, 'require-sigs': 'true' },
      });
      stores.push(client);
      await client.run('nix-store', ['-r', out, '--option', 'substituters', `http://${address}`]);
      await client.run('nix-store', ['--verify', '--check-contents']);
    });
  });
});
