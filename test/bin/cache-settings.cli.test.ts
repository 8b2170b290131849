import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { dirname } from 'node:path';
import { execa } from 'execa';
import { beforeAll, describe, expect, it } from 'vitest';
import { findFreePorts } from '#dev/free-ports.js';
import { preload, serve } from '../support/cache-commands.js';
import { installModules } from '../support/installed.js';
import { createSampleStore, type SampleStore, snapshot } from '../support/samples.js';
import { CARPORT, useSandbox } from '../support/sandbox.js';
import { faultsOf, narInfosOf } from '../support/transfers.js';

interface Shown {
  readonly key: string;
  readonly value: unknown;
  readonly origin: string;
}

describe('the settings of transfers', () => {
  const box = useSandbox();
  const user = () => box().path('config/carport/config.toml');
  const project = () => box().path('work/carport.toml');
  const write = async (file: string, text: string) => {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  };
  const show = async (env: Readonly<Record<string, string>> = {}) => {
    const { stdout } = await box().succeed(['config', 'show', '--json'], { env });
    const { settings } = JSON.parse(stdout) as { settings: readonly Shown[] };
    return Object.fromEntries(settings.map(({ key, value, origin }) => [key, [value, origin]]));
  };

  it('are shown, with where they are from', async () => {
    expect(await show()).toMatchObject({ 'skip-signed-by': [[], 'default'], 'retry-seconds': [null, 'default'] });
    await write(user(), 'retry-seconds = 7\nskip-signed-by = ["a-1", "b-1"]\n');
    expect(await show()).toMatchObject({ 'skip-signed-by': [['a-1', 'b-1'], user()], 'retry-seconds': ['7', user()] });
    await write(project(), 'retry-seconds = 8\nskip-signed-by = "c-1"\n');
    expect(await show()).toMatchObject({ 'skip-signed-by': [['c-1'], project()], 'retry-seconds': ['8', project()] });
    const env = { CARPORT_RETRY_SECONDS: '9', CARPORT_SKIP_SIGNED_BY: 'd-1 e-1' };
    expect(await show(env)).toMatchObject({
      'skip-signed-by': [['d-1', 'e-1'], 'CARPORT_SKIP_SIGNED_BY'],
      'retry-seconds': ['9', 'CARPORT_RETRY_SECONDS'],
    });
  });

  it('are wrong when they are no numbers', async () => {
    const samples = await createSampleStore(box().root);
    const push = ['push', samples.top.path, '--store', samples.root, '--to', box().path('cache')];
    for (const text of ['soon', '-1', '1.5', '1e9', '']) {
      const { exitCode, stderr } = await box().carport([...push, '--retry-seconds', text]);
      expect([text, exitCode]).toEqual([text, 2]);
      expect(stderr).toContain(`\`${text}\` (--retry-seconds) is not a number of seconds`);
    }
    const { exitCode, stderr } = await box().carport(push, { env: { CARPORT_RETRY_SECONDS: 'x' } });
    expect([exitCode, stderr.includes('`x` (CARPORT_RETRY_SECONDS)')]).toEqual([2, true]);
    await write(project(), 'retry-seconds = "10"\n');
    expect((await box().carport(push)).stderr).toContain('`retry-seconds` in');
  });
});

describe('--retry-seconds', () => {
  const box = useSandbox('all');

  it('says how long a server that was there may be gone', async () => {
    let answers = 0;
    const url = await serve((_, response) => {
      // The first is good: from then on it is known.
      if (answers++ === 0) response.end('StoreDir: /nix/store\n');
      else response.writeHead(503).end();
    });
    for (const [seconds, by] of [
      ['1', 'option'],
      ['3', 'variable'],
    ] as const) {
      answers = 0;
      const begin = performance.now();
      const args = ['pull', '0'.repeat(32), '--from', url, '--allow-unsigned'];
      const ran =
        by === 'option'
          ? await box().carport([...args, '--retry-seconds', seconds])
          : await box().carport(args, { env: { CARPORT_RETRY_SECONDS: seconds } });
      const took = (performance.now() - begin) / 1000;
      expect([ran.exitCode, ran.stdout]).toEqual([75, '']);
      expect(took).toBeGreaterThan(Number(seconds));
      // A minute otherwise.
      expect(took).toBeLessThan(Number(seconds) + 30);
    }
  });

  it.each([
    [['cache', 'info', 'URL']],
    [['cache', 'ls', 'URL']],
    [['cache', 'ls', 'URL', '0'.repeat(32)]],
    [['cache', 'cat', 'URL', `${'0'.repeat(32)}/x`, '--allow-unsigned']],
    [['closure', '0'.repeat(32), '--from', 'URL']],
  ])('is an option of what looks into a cache: %j', async (args) => {
    const url = await serve((_, response) => void response.writeHead(503).end());
    const begin = performance.now();
    const line = [...args.map((each) => each.replace('URL', url)), '--retry-seconds', '1'];
    expect((await box().carport(line)).exitCode).toBe(75);
    // A server that has never answered gets ten seconds otherwise.
    expect(performance.now() - begin).toBeLessThan(9500);
  });

  it('of 0 still waits for an answer that takes a moment', async () => {
    const url = await serve((_, response) => {
      response.writeHead(200, { 'content-length': 21 });
      response.write('StoreDir: ');
      setTimeout(() => response.end('/nix/store\n'), 300);
    });
    await box().succeed(['cache', 'info', url], { env: { CARPORT_RETRY_SECONDS: '0' } });
  });

  it('lets a server come back', async () => {
    const [port] = await findFreePorts(1);
    const running = execa(process.execPath, [CARPORT, 'cache', 'info', `http://localhost:${port}`], {
      ...{ cwd: box().path('work'), env: box().env, extendEnv: false },
    });
    let told = '';
    running.stderr.on('data', (bytes) => {
      told += bytes;
    });
    await expect.poll(() => told).toContain('trying again');
    const server = createServer((_, response) => response.end('StoreDir: /nix/store\n'));
    await new Promise<void>((resolve) => server.listen(port, resolve));
    try {
      expect((await running).exitCode).toBe(0);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});

describe('--skip-signed-by', () => {
  const box = useSandbox('all');
  let samples: SampleStore;
  let args: readonly string[];
  beforeAll(async () => {
    samples = await createSampleStore(box().root);
    const upstream = await box().makeKey('upstream-1');
    const own = await box().makeKey('own-1');
    // What was pulled from upstream keeps its signature.
    const to = (cache: string, key: string) => ['--to', box().path(cache), '--secret-key', key];
    await box().succeed(['push', samples.base.path, '--store', samples.root, ...to('upstream', upstream.file)]);
    const store = box().path('mixed');
    const pull = ['pull', samples.base.path, '--from', box().path('upstream'), '--store', store];
    await box().succeed([...pull, '--trusted-key', upstream.publicKey]);
    await box().succeed(['push', samples.top.path, '--store', samples.root, '--to', box().path('rest')]);
    const rest = ['pull', samples.top.path, '--from', box().path('rest'), '--store', store, '--allow-unsigned'];
    await box().succeed(rest);
    args = ['push', samples.top.path, '--store', store, '--secret-key', own.file];
  });

  it.each(['option', 'variable', 'file'])('leaves out what that key has signed: by %s', async (by) => {
    const cache = box().path(`cache-${randomBytes(4).toString('hex')}`);
    const push = [...args, '--to', cache];
    await writeFile(box().path('work/carport.toml'), by === 'file' ? 'skip-signed-by = ["upstream-1"]\n' : '');
    const { stderr, lines } =
      by === 'option'
        ? await box().succeed([...push, '--skip-signed-by', 'other-1', '--skip-signed-by', 'upstream-1'])
        : await box().succeed(push, by === 'variable' ? { env: { CARPORT_SKIP_SIGNED_BY: 'upstream-1' } } : {});
    expect(stderr).toMatch(/^3 paths: .*2 to upload/);
    expect(lines).toEqual(samples.paths);
    const there = (await box().succeed(['cache', 'ls', cache])).lines;
    expect(there).toEqual([samples.middle.path, samples.top.path].sort());
  });

  it('of a push is no reason for the next to leave anything out', async () => {
    await writeFile(box().path('work/carport.toml'), '');
    const cache = box().path('cache-in-two-steps');
    const push = (...more: readonly string[]) => box().succeed([...args, '--to', cache, ...more]);
    await push('--skip-signed-by', 'upstream-1');
    expect(await faultsOf(cache)).toHaveLength(1);
    expect((await push('--skip-signed-by', 'upstream-1')).stderr).toMatch(/^3 paths: 2 already .* 0 to upload/);
    expect((await push('--dry-run')).lines).toEqual([samples.base.path]);
    expect((await push()).stderr).toMatch(/^3 paths: 2 already cached, 1 to upload/);
    expect(await faultsOf(cache)).toEqual([]);
    const names = (await narInfosOf(cache)).get(samples.base.path)!.signatures.map((text) => text.split(':')[0]);
    expect(names.sort()).toEqual(['own-1', 'upstream-1']);
    expect((await push()).stderr).toMatch(/^3 paths: 3 already cached, 0 to upload/);
    await box().succeed(['cache', 'erase', cache, '--yes']);
    expect(Object.keys(await snapshot(cache))).toEqual([]);
  });

  it('with a name that signed nothing leaves nothing out', async () => {
    await writeFile(box().path('work/carport.toml'), '');
    const cache = box().path('cache-all');
    await box().succeed([...args, '--to', cache, '--skip-signed-by', 'upstream']);
    expect((await box().succeed(['cache', 'ls', cache])).lines).toHaveLength(3);
  });
});

describe('help', () => {
  const box = useSandbox('all');
  let program: string;
  beforeAll(async () => {
    program = await installModules(box().path('installed'));
  });

  it.each([['--help'], ['push --help'], ['pull --help'], ['cache --help'], ['cache erase --help']])(
    'loads neither the AWS SDK nor what opens connections: `%s`',
    async (line) => {
      const log = box().path('modules');
      await writeFile(log, '');
      await writeFile(
        box().path('hooks.mjs'),
        `import { appendFileSync } from 'node:fs';
         export async function resolve(specifier, context, next) {
           const found = await next(specifier, context);
           appendFileSync(${JSON.stringify(log)}, found.url + '\\n');
           return found;
         }`,
      );
      const register = `import { register } from 'node:module'; register('./hooks.mjs', import.meta.url);`;
      const env = { ...box().env, ...(await preload(box(), 'register', register)) };
      await execa(process.execPath, [program, ...line.split(' ')], { env, extendEnv: false });
      const loaded = await readFile(log, 'utf8');
      expect(loaded).toContain(line === '--help' ? '/dist/bin/help/root.js' : '/dist/bin/program.js');
      if (line === '--help') expect(loaded).not.toMatch(/commander|program\.js/);
      expect(loaded).not.toMatch(/aws-sdk|smithy|execa|node:https?$|object-store/m);
    },
  );

  it('answers at once', async () => {
    const times: number[] = [];
    for (let run = 0; run < 5; run++) {
      const begin = performance.now();
      await box().succeed(['cache', '--help']);
      times.push(performance.now() - begin);
    }
    // A tenth of a second on a machine that does nothing else.
    expect(Math.min(...times)).toBeLessThan(1000);
  });
});
