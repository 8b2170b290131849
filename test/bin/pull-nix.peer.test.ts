import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { createNixStore, describeWithNix, type NixStore, untilListening } from '../support/nix.js';
import { isAlive } from '../support/processes.js';
import { CARPORT, type KeyFile, type Ran, useSandbox } from '../support/sandbox.js';

const EXPRESSION = `
  let
    make = name: attributes: script: derivation ({
      inherit name; system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/bin:/usr/bin";
      args = [ "-c" script ];
    } // attributes);
    text = builtins.toFile "text" "some text";
    tools = make "tools" { inherit text; } ''
      mkdir -p $out/bin; echo "#!$out $text" > $out/bin/tool; chmod +x $out/bin/tool; ln -s bin/tool $out/tool
    '';
  in make "everything" { inherit tools; } "echo $tools > $out; seq 1 200000 >> $out"
`;

interface PathInfoOfNix {
  readonly path: string;
  readonly narHash: string;
  readonly narSize: number;
  readonly references: readonly string[];
  readonly deriver?: string;
  readonly signatures?: readonly string[];
}

describeWithNix('`pull --store nix`', () => {
  const box = useSandbox('all');
  let origin: NixStore;
  let nix: NixStore;
  let out: string;
  let drv: string;
  let closure: readonly string[];
  let key: KeyFile;
  let cache: string;
  beforeAll(async () => {
    origin = await createNixStore();
    [out] = (await origin.build(EXPRESSION)) as [string];
    drv = await origin.run('nix-store', ['-q', '--deriver', out]);
    closure = (await origin.run('nix-store', ['-qR', out])).split('\n').sort();
    key = await box().makeKey('test-1');
    cache = box().path('cache');
    const push = ['push', drv, '--closure', 'build', '--to', cache, '--secret-key', key.file, '--store', 'nix'];
    await box().succeed(push, { env: origin.env });
  });
  afterAll(() => origin.remove());
  beforeEach(async () => {
    nix = await createNixStore();
  });
  afterEach(() => nix.remove());

  const pull = (what: string, ...more: readonly string[]) =>
    box().carport(['pull', what, '--from', cache, '--store', 'nix', ...more], { env: nix.env });
  const trusted = () => ['--trusted-key', key.publicKey];
  const infos = async (store: NixStore, ...args: readonly string[]): Promise<readonly PathInfoOfNix[]> => {
    const json = JSON.parse(await store.run('nix', ['path-info', '--json', ...args])) as PathInfoOfNix[];
    return json.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  };
  const expectNothingTemporary = async () => expect(await readdir(join(nix.root, 'tmp'))).toEqual([]);
  const expectNothing = async () => {
    expect(await nix.run('nix-store', ['--dump-db'])).toBe('');
    await expectNothingTemporary();
  };
  const expectFailure = ({ exitCode, stdout, stderr }: Ran, code: number, ...texts: readonly string[]) => {
    expect([exitCode, stdout], stderr).toEqual([code, '']);
    for (const text of texts) expect(stderr).toContain(text);
  };

  /** The environment with a `nix` that does something else before it copies. */
  const beforeCopies = async (script: string) => {
    const stubs = join(nix.root, 'stubs');
    await mkdir(stubs);
    const text = `#!/bin/sh\nPATH="\${PATH#*:}"\ncase "$*" in *" copy "*) ${script};; esac\nexec nix "$@"\n`;
    await writeFile(join(stubs, 'nix'), text, { mode: 0o755 });
    return { ...nix.env, PATH: `${stubs}:${nix.env.PATH}` };
  };

  it('gives Nix the closure with its signatures, as it was where it was built', async () => {
    const { exitCode, lines, stderr } = await pull(out, ...trusted());
    expect([exitCode, lines.toSorted()], stderr).toEqual([0, closure]);
    const [got, wanted] = [await infos(nix, '-r', out), await infos(origin, '-r', out)];
    const facts = (info: PathInfoOfNix) => [info.path, info.narHash, info.narSize, [...info.references].sort()];
    expect(got.map(facts)).toEqual(wanted.map(facts));
    for (const { signatures } of got) expect(signatures).toEqual([expect.stringMatching(/^test-1:/)]);
    expect(await nix.run('nix-store', ['-q', '--deriver', out])).toBe(drv);
    expect(await nix.run('nix-store', ['--verify', '--check-contents'])).toBe('');
    expect(await readFile(nix.realPath(out), 'utf8')).toBe(await readFile(origin.realPath(out), 'utf8'));
    await expectNothingTemporary();
  });

  it('takes derivations among other paths, so that nothing is left to build', async () => {
    const all = (await origin.run('nix-store', ['-qR', '--include-outputs', drv])).split('\n');
    const { exitCode, stderr } = await pull(drv, ...all, ...trusted());
    expect([exitCode, stderr]).toEqual([0, expect.stringContaining(`pulled ${all.length} paths`)]);
    expect(await nix.run('nix-store', ['--realise', drv])).toBe(out);
    expect(await nix.run('nix-store', ['--verify', '--check-contents'])).toBe('');
    expect((await infos(nix, '--derivation', drv))[0]!.signatures).toEqual([expect.stringMatching(/^test-1:/)]);
  });

  it('fetches only what is not there', async () => {
    const text = closure.find((path) => path.endsWith('-text'))!;
    expect((await pull(text, ...trusted())).exitCode).toBe(0);
    expect((await pull(out, ...trusted())).stderr).toContain(`${closure.length} paths: 1 already here, 2 to fetch`);
    const again = await pull(out, ...trusted());
    expect(again.stderr).toContain('0 to fetch');
    expect(again.lines.toSorted()).toEqual(closure);
  });

  it('plans again when a garbage collection removes what was there', async () => {
    const text = closure.find((path) => path.endsWith('-text'))!;
    expect((await pull(text, ...trusted())).exitCode).toBe(0);
    const once = join(nix.root, 'collected');
    const env = await beforeCopies(`[ -e ${once} ] || { touch ${once}; nix-store --gc > /dev/null 2>&1; }`);
    const args = ['pull', '-', '--from', cache, '--store', 'nix', ...trusted()];
    const { exitCode, lines, stderr } = await box().carport(args, { env, input: `${out}\n` });
    expect([exitCode, lines.toSorted()], stderr).toEqual([0, closure]);
    expect(stderr).toContain('removed paths while they were pulled; pulling again what is missing');
    expect(await nix.run('nix-store', ['--verify'])).toBe('');
    await expectNothingTemporary();
  });

  it('makes out-links that Nix’s garbage collector knows, of derivations, too', async () => {
    const links = join(nix.root, 'links');
    await mkdir(links);
    const elsewhere = join(box().root, 'own/nix/store', out.slice('/nix/store/'.length));
    await symlink(elsewhere, join(links, 'result'));
    expect((await pull(out, drv, ...trusted(), '--out-link', join(links, 'result'))).exitCode).toBe(0);
    expect(await readlink(join(links, 'result'))).toBe(out);
    expect(await readlink(join(links, 'result-2'))).toBe(drv);
    await nix.run('nix-store', ['--gc', '--quiet']);
    const kept = [...closure, ...(await origin.run('nix-store', ['-qR', drv])).split('\n')];
    const hashes = (await nix.run('nix-store', ['-q', '--hash', ...kept])).split('\n');
    expect(hashes).toEqual(kept.map(() => expect.stringMatching(/^sha256:/)));
    await rm(join(links, 'result'));
    await rm(join(links, 'result-2'));
    await nix.run('nix-store', ['--gc', '--quiet']);
    await expectNothing();
    await writeFile(join(links, 'mine'), 'text');
    expectFailure(await pull(out, ...trusted(), '--out-link', join(links, 'mine')), 2, 'is no out-link');
  });

  it('takes nothing that carport does not trust, and with --allow-unsigned what Nix would not', async () => {
    const other = await box().makeKey('other-1');
    expectFailure(await pull(out), 6, 'error[E_SIGNATURE]', 'is not signed by a trusted key');
    expectFailure(await pull(out, '--trusted-key', other.publicKey), 6, 'is not signed by a trusted key');
    await expectNothing();
    const { exitCode, lines } = await pull(out, '--allow-unsigned');
    expect([exitCode, lines.toSorted()]).toEqual([0, closure]);
    expect(await nix.run('nix-store', ['--verify', '--check-contents'])).toBe('');
  });

  it('gives Nix nothing when a NAR is damaged', async () => {
    const damaged = join(nix.root, 'damaged');
    await box().succeed(['push', out, '--to', damaged, '--secret-key', key.file], { env: origin.env });
    const narInfo = await readFile(join(damaged, `${out.slice(11, 43)}.narinfo`), 'utf8');
    const nar = join(damaged, /^URL: (.*)$/m.exec(narInfo)![1]!);
    const bytes = await readFile(nar);
    bytes[20]! ^= 1;
    await writeFile(nar, bytes);
    const args = ['pull', out, '--store', 'nix', ...trusted()];
    expectFailure(await box().carport([...args, '--from', damaged], { env: nix.env }), 6, 'E_INTEGRITY', 'is damaged');
    await expectNothing();
    // A cache that has it whole helps.
    const { exitCode, stderr } = await box().carport([...args, '--from', damaged, '--from', cache], { env: nix.env });
    expect([exitCode, stderr]).toEqual([0, expect.stringContaining('trying the next cache')]);
    expect(await nix.run('nix-store', ['--verify', '--check-contents'])).toBe('');
    await expectNothingTemporary();
  });

  it('ends Nix at an interrupt, and leaves nothing temporary', async () => {
    // Slow, once it is to copy.
    const slow = `echo $$ > ${nix.root}/pid.new; mv ${nix.root}/pid.new ${nix.root}/pid; exec sleep 60`;
    const env = { ...box().env, ...(await beforeCopies(slow)) };
    const args = [CARPORT, 'pull', out, '--from', cache, '--store', 'nix', ...trusted()];
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (bytes: Buffer) => {
      stderr += bytes;
    });
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    const pid = async () => readFile(join(nix.root, 'pid'), 'utf8').catch(() => '');
    while ((await pid()) === '') await new Promise((resolve) => setTimeout(resolve, 10));
    const processId = Number.parseInt(await pid(), 10);
    child.kill('SIGINT');
    expect(await ended, stderr).toBe(130);
    expect(stderr).toContain('error[E_INTERRUPTED]: stopped by SIGINT');
    await expect.poll(() => isAlive(processId)).toBe(false);
    await expectNothing();
  });

  it('is for machines with Nix, and says so elsewhere', async () => {
    const ran = await box().carport(['pull', out, '--from', cache, '--store', 'nix', ...trusted()]);
    expectFailure(ran, 5, 'the program `nix` is not on PATH', "leave `--store` out to use carport's own store");
  });
});

describeWithNix('`pull --store nix` with another store dir', () => {
  const box = useSandbox();

  it('works from a cache for that store dir', async () => {
    const store = await createNixStore({ ownStoreDir: true });
    try {
      const [out] = await store.build(
        'derivation { name = "x"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo $out > $out" ]; }',
      );
      const cache = ['--allow-unsigned', '--from', box().path('cache')];
      await box().succeed(['push', out!, '--to', box().path('cache')], { env: store.env });
      await store.run('nix-store', ['--delete', out!]);
      const { lines } = await box().succeed(['pull', out!, ...cache, '--store', 'nix'], { env: store.env });
      expect(lines).toEqual([out]);
      expect(await readFile(out!, 'utf8')).toBe(`${out}\n`);
      expect(await store.run('nix-store', ['--verify', '--check-contents'])).toBe('');
    } finally {
      await store.remove();
    }
  });
});

describeWithNix('`pull --store nix` beside a daemon that does not trust the user', () => {
  const box = useSandbox('all');
  let store: NixStore;
  let out: string;
  let key: KeyFile;
  const daemons: ChildProcess[] = [];
  beforeAll(async () => {
    store = await createNixStore({ ownStoreDir: true, settings: { 'trusted-users': 'nobody' } });
    key = await box().makeKey('test-1');
    [out] = (await store.build(
      'derivation { name = "x"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo $out > $out" ]; }',
    )) as [string];
    await box().succeed(['push', out, '--to', box().path('cache'), '--secret-key', key.file], { env: store.env });
    await store.run('nix-store', ['--delete', out]);
  });
  afterAll(async () => {
    for (const daemon of daemons) daemon.kill();
    await store.remove();
  });

  /** Gives the environment of its clients. */
  const startDaemon = async (settings = '') => {
    const socket = join(store.root, `socket-${daemons.length}`);
    const directory = join(store.root, `conf-${daemons.length}`);
    const text = await readFile(join(store.root, 'conf/nix.conf'), 'utf8');
    await mkdir(directory);
    await writeFile(join(directory, 'nix.conf'), `${text}${settings}\n`);
    const env = { ...store.env, NIX_DAEMON_SOCKET_PATH: socket };
    daemons.push(spawn('nix-daemon', [], { env: { ...env, NIX_CONF_DIR: directory }, stdio: 'ignore' }));
    await untilListening(socket);
    return { ...env, NIX_REMOTE: 'daemon' };
  };
  const pull = (env: Readonly<Record<string, string>>, ...more: readonly string[]) =>
    box().carport(['pull', out, '--from', box().path('cache'), '--store', 'nix', ...more], { env });

  it('says that the daemon must be told of the key, and leaves nothing', async () => {
    const env = await startDaemon();
    for (const [trust, setting] of [
      [['--trusted-key', key.publicKey], '`trusted-public-keys`'],
      [['--allow-unsigned'], '`trusted-users`'],
    ] as const) {
      const { exitCode, stdout, stderr } = await pull(env, ...trust);
      expect([exitCode, stdout]).toEqual([6, '']);
      expect(stderr).toContain('error[E_SIGNATURE]: Nix does not take the signatures\n  because cannot add path');
      expect(stderr.split('hint: ')[1]).toContain(setting);
      expect(await readdir(join(store.root, 'tmp'))).toEqual([]);
    }
  });

  it('works when the daemon knows the key', async () => {
    const env = await startDaemon(`trusted-public-keys = ${key.publicKey}`);
    const link = join(store.root, 'result');
    const { exitCode, stdout, stderr } = await pull(env, '--trusted-key', key.publicKey, '--out-link', link);
    expect([exitCode, stdout], stderr).toEqual([0, `${out}\n`]);
    // The daemon holds what it has imported until it notices that carport has gone.
    await expect.poll(() => store.run('nix-store', ['-q', '--roots', out])).toBe(`${link} -> ${out}`);
    expect(await store.run('nix', ['path-info', '--sigs', out])).toContain('test-1:');
  });
});
