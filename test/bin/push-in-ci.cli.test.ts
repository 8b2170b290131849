import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createSampleStore, type SampleStore } from '../support/samples.js';
import { CARPORT, type KeyFile, useSandbox } from '../support/sandbox.js';
import { narInfosOf } from '../support/transfers.js';

const shared = useSandbox('all');
const box = useSandbox();
let store: SampleStore;
let key: KeyFile;
let text = '';
let args: readonly string[];
beforeAll(async () => {
  store = await createSampleStore(shared().root);
});
beforeEach(async () => {
  key = await box().makeKey('test-1');
  text = (await readFile(key.file, 'utf8')).trim();
  args = ['push', store.top.path, '--store', store.root, '--to', box().path('cache')];
});
const signers = async () =>
  [...(await narInfosOf(box().path('cache'))).values()].map(({ signatures }) => signatures.map((s) => s.split(':')[0]));

describe('a secret key without a file', () => {
  it('is in a variable, also with white space around it, or several', async () => {
    const other = (await readFile((await box().makeKey('test-2')).file, 'utf8')).trim();
    await box().succeed(args, { env: { CARPORT_SECRET_KEY: `\n${text}\r\n${other}\n` } });
    for (const names of await signers()) expect(names).toEqual(['test-1', 'test-2']);
  });

  it('is that of its file once more, and signs once', async () => {
    const to = `file://${box().path('cache')}?secret-key=${key.file}`;
    await box().succeed([...args.slice(0, -1), to], { env: { CARPORT_SECRET_KEY: text } });
    for (const names of await signers()) expect(names).toEqual(['test-1']);
  });

  it('stands behind the option, and before the variable of files', async () => {
    const other = (await readFile((await box().makeKey('test-2')).file, 'utf8')).trim();
    await box().succeed([...args, '--secret-key', key.file], { env: { CARPORT_SECRET_KEY: other } });
    for (const names of await signers()) expect(names).toEqual(['test-1']);
    const env = { CARPORT_SECRET_KEY: other, CARPORT_SECRET_KEY_FILES: key.file };
    await box().succeed(args, { env });
    for (const names of await signers()) expect(names).toEqual(['test-1', 'test-2']);
  });

  it('is not shown by what shows settings', async () => {
    const { stdout } = await box().succeed(['config', 'show'], { env: { CARPORT_SECRET_KEY: text } });
    expect(stdout).toMatch(/^secret-key-files .*\(CARPORT_SECRET_KEY\)$/m);
    expect(stdout).not.toContain(text);
  });

  it.each(['fd', 'name', 'short'])('that is none is refused without its text: %s', async (kind) => {
    const wrong = { fd: 'fd:3', name: key.file, short: text.slice(0, -8) }[kind]!;
    const { exitCode, stderr } = await box().carport(args, { env: { CARPORT_SECRET_KEY: wrong } });
    expect(exitCode).toBe(4);
    expect(stderr).toContain('`CARPORT_SECRET_KEY` does not hold a secret key');
    if (kind === 'short') expect(stderr).not.toContain(text.slice(-40, -8));
  });

  it('comes from stdin or a descriptor, and what is run has neither that nor the variable', async () => {
    const script = `
      node "$1" push "$2" --store "$3" --to cache-a --secret-key - < "$4" &&
      node "$1" push "$2" --store "$3" --to cache-b --secret-key fd:3 3< "$4" &&
      cat "$4" | node "$1" push "$2" --store "$3" --to cache-c --secret-key /dev/stdin &&
      { node "$1" push - --store "$3" --to cache-d --secret-key - < "$4"; [ $? = 2 ]; } &&
      for fd in 3 4 5 6 77; do
        node "$1" push "$2" --store "$3" --to cache-d --secret-key fd:$fd 3<&-; [ $? = 4 ] || exit 1
      done &&
      mkfifo pipe && { cat "$4" > pipe & } &&
      node "$1" push "$2" --store "$3" --to cache-e --secret-key /dev/fd/7 7< pipe`;
    const values = ['sh', CARPORT, store.top.path, store.root, key.file];
    const { exitCode, stderr } = await execa('/bin/sh', ['-c', script, ...values], {
      cwd: box().root,
      env: { ...box().env, PATH: `${process.execPath.replace(/\/[^/]*$/, '')}:/usr/bin:/bin` },
      extendEnv: false,
      reject: false,
    });
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    for (const name of ['cache-a', 'cache-b', 'cache-c', 'cache-e']) {
      for (const info of (await narInfosOf(box().path(name))).values()) expect(info.signatures).toHaveLength(1);
    }
  });
});

describe('a push in CI', () => {
  const CI = { CI: 'true' };

  it('without a key is refused, unless that is meant', async () => {
    const { exitCode, stderr } = await box().carport(args, { env: CI });
    expect(exitCode).toBe(4);
    expect(stderr).toContain('CARPORT_SECRET_KEY');
    const meant = await box().succeed([...args, '--allow-unsigned'], { env: CI });
    expect(meant.stderr).not.toContain('warning');
  });

  it('of a build that sees no secrets does nothing, and says so once', async () => {
    const env = { ...CI, CARPORT_SECRET_KEY: '' };
    const { stderr, stdout } = await box().succeed([...args, '--pin', 'app', '--skip-without-key'], { env });
    expect(stderr.split('\n')).toHaveLength(2);
    expect(stderr).toContain('nothing is pushed');
    expect(stdout).toBe('');
    expect(await narInfosOf(box().path('cache'))).toEqual(new Map());
  });

  it('lists no paths unless they are asked for', async () => {
    const env = { ...CI, CARPORT_SECRET_KEY: text };
    expect((await box().succeed(args, { env })).stdout).toBe('');
    expect((await box().succeed([...args, '--print'], { env })).lines).toEqual(store.paths);
  });

  it('with nothing new ends at the roots, and sends what was lost below them', async () => {
    const env = { ...CI, CARPORT_SECRET_KEY: text };
    await box().succeed(args, { env });
    const again = await box().succeed(args, { env });
    expect(again.stderr).toBe('3 paths: 3 already cached, 0 to upload (0 B)\npushed 0 paths, 3 were there\n');
    const { url } = (await narInfosOf(box().path('cache'))).get(store.paths[0]!)!;
    await rm(box().path('cache', url));
    expect((await box().succeed(args, { env })).stderr).toContain('2 already cached, 1 to upload');
  });

  it('folds its lines, but for the summary, and fills the page of the job', async () => {
    const page = box().path('page.md');
    const env = { ...CI, CARPORT_SECRET_KEY: text, GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: page };
    const github = await box().succeed(args, { env });
    expect(github.stderr).toMatch(/^::group::carport push\n3 paths: [\s\S]*::endgroup::\npushed 3 paths /);
    expect(await readFile(page, 'utf8')).toMatch(/### carport push\n[\s\S]*\| pushed \| 3 paths, .*\|\n/);
    const gitlab = await box().succeed(args, { env: { ...CI, CARPORT_SECRET_KEY: text, GITLAB_CI: 'true' } });
    expect(gitlab.stderr).toMatch(/section_start:\d+:\w+\[collapsed=true\]\r[\s\S]*section_end:\d+:\w+\r/);
  });
});

describe('what other caches have', () => {
  it('is not pushed: what Nix’s own cache has signed, unless it is asked for', async () => {
    const upstream = await box().makeKey('cache.nixos.org-1');
    const [from, mixed] = [box().path('upstream'), box().path('mixed')];
    await box().succeed([...args.slice(0, -1), from, '--secret-key', upstream.file]);
    const pull = ['pull', store.middle.path, '--from', from, '--store', mixed, '--trusted-key', upstream.publicKey];
    await box().succeed(pull);
    await box().succeed([
      'push',
      store.top.path,
      '--store',
      store.root,
      '--to',
      box().path('rest'),
      '--secret-key',
      key.file,
    ]);
    const rest = [
      'pull',
      store.top.path,
      '--from',
      box().path('rest'),
      '--store',
      mixed,
      '--trusted-key',
      key.publicKey,
    ];
    await box().succeed(rest);
    const push = ['push', '--store', mixed, '--secret-key', key.file, '--to', box().path('cache')];
    const { stderr } = await box().succeed([...push, store.top.path]);
    expect(stderr).toMatch(/^3 paths: 0 already cached, 2 in another cache, 1 to upload/);
    // A pin is for what its cache has.
    const pinned = await box().succeed([...push, store.middle.path, '--pin', 'middle']);
    expect(pinned.stderr).toMatch(/^2 paths: .* 2 to upload/);
    const all = await box().succeed([...push.slice(0, -1), box().path('all'), store.top.path, '--no-skip-upstream']);
    expect(all.stderr).toMatch(/ 3 to upload/);
  });

  it('is not pushed where a cache is named that has it; one that is away has nothing', async () => {
    const other = box().path('other');
    await box().succeed(['push', store.base.path, '--store', store.root, '--to', other, '--secret-key', key.file]);
    const push = [...args, '--secret-key', key.file, '--retry-seconds', '0'];
    const { stderr } = await box().succeed([...push, '--skip-in', other, '--skip-in', 'http://127.0.0.1:9']);
    expect(stderr).toContain('`http://127.0.0.1:9` does not answer');
    expect(stderr).toMatch(/3 paths: 0 already cached, 1 in another cache, 2 to upload/);
  });

  it('is pushed where that cache is damaged, or refuses to say', async () => {
    const other = box().path('other');
    await box().succeed(['push', store.base.path, '--store', store.root, '--to', other, '--secret-key', key.file]);
    await writeFile(join(other, `${basename(store.base.path).slice(0, 32)}.narinfo`), 'damaged');
    const server = createServer((_, response) => void response.writeHead(401).end()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const refusing = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      const { stderr } = await box().succeed([
        ...[...args, '--secret-key', key.file],
        ...['--skip-in', other, '--skip-in', refusing],
      ]);
      expect(stderr).toContain(`\`${refusing}\` cannot be asked`);
      expect(stderr).toMatch(/3 paths: 0 already cached, 3 to upload/);
    } finally {
      server.close();
    }
  });
});
