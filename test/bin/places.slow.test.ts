import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommandLine } from '#bin/program.js';
import { fakeContext } from '../support/context.js';
import { useSandbox } from '../support/sandbox.js';

describe('a place that was meant otherwise', () => {
  const box = useSandbox('all');
  const directory = process.cwd();
  let path: string;
  beforeAll(async () => {
    await writeFile(box().path('file'), 'x');
    process.chdir(box().path('work'));
    path = (await box().succeed(['store', 'add', box().path('file'), '--store', box().path('store')])).lines[0]!;
  });
  afterAll(() => process.chdir(directory));
  const push = ['push', '--store', '../store', '--retry-seconds', '0'];

  /** Nothing is made where carport runs, nor anywhere else. */
  const refused = async (args: readonly string[], env: Readonly<Record<string, string>> = {}) => {
    const list = () => Promise.all([box().path('work'), '/', box().root].map((directory) => readdir(directory)));
    const before = await list();
    const context = fakeContext({ ...box().env, ...env });
    const exitCode = await runCommandLine(args, context);
    const stderr = context.stderr.text();
    expect([exitCode, context.stdout.text()], `${args.join(' ')}: ${stderr}`).toEqual([2, '']);
    expect(await list()).toEqual(before);
    return stderr;
  };

  it.each([
    ['file://', 'root of the file system'],
    ['', "a cache's URL is empty"],
    ['s3:/bucket', 'did you mean `s3://bucket`?'],
    ['s3;//bucket', 'a directory of that name is `./s3;//bucket`'],
    ['undefined', 'a directory of that name is `./undefined`'],
    ['daemon', 'a directory of that name is `./daemon`'],
    ['file:///null', 'a variable in it may not be set'],
    ['file:///%20', 'a variable in it may not be set'],
    ['"file:///srv/cache"', 'did you mean `file:///srv/cache`?'],
    [' s3://bucket?endpoint=http://127.0.0.1:1', 'did you mean `s3://bucket?endpoint=http://127.0.0.1:1`?'],
    ['https:/cache.example.org', 'did you mean `https://cache.example.org`?'],
    ['$CACHE', 'has a variable in it'],
    ['~/cache', 'begins with `~`'],
    ['s3:x', '`./s3:x`'],
  ])('is refused with what was meant, and makes nothing: `%s`', async (text, said) => {
    const run = async (args: readonly string[], env = {}) => expect(await refused(args, env)).toContain(said);
    await run([...push, path, '--to', text]);
    await run(['pull', path, '--store', './s', '--from', '/nothing', '--from', text]);
    await run(['cache', 'init', text]);
    await run(['release', 'put', '../file', '--target', 't', '--tag', 'v1', '--allow-unsigned', '--to', text]);
    await run(['pin', 'ls', '--from', text]);
    await run(['closure', path, '--from', text]);
    if (text !== '') await run([...push, path], { CARPORT_TO: text });
  });

  it('is told with where it is from', async () => {
    const origin = async (args: readonly string[], env: Readonly<Record<string, string>>, said: string) =>
      expect(await refused(args, env)).toContain(said);
    await origin([...push, path, '--to', 's3:/b'], {}, '`s3:/b` is not a URL (--to)');
    await origin([...push, path], { CARPORT_TO: 's3:/b' }, '(CARPORT_TO)');
    await origin(['pull', path], { CARPORT_FROM: '/a s3:/b' }, '(CARPORT_FROM)');
    await origin(['release', 'promote', 'v1', '--to', 'stable', '--cache', 's3:/b'], {}, '(--cache)');
    await origin(['store', 'ls'], { CARPORT_STORE: '~/store' }, '(CARPORT_STORE)');
    const endpoint = { AWS_ENDPOINT_URL: 'https:/host', AWS_ENDPOINT_URL_S3: '' };
    await origin(['cache', 'info', 's3://b'], endpoint, '(AWS_ENDPOINT_URL) is not a URL');
    await mkdir(box().path('config/carport'), { recursive: true });
    await writeFile(box().path('config/carport/config.toml'), 'to = "s3:/b"\n');
    await origin([...push, path], {}, `(to in ${box().path('config/carport/config.toml')})`);
    await writeFile(box().path('config/carport/config.toml'), '');
  });

  it.each([
    ['', 'is empty'],
    ['s3:/bucket', 'looks like a URL'],
    ['s3://bucket', 'is a URL, where a path belongs'],
    ['file:///srv/store', 'did you mean `/srv/store`?'],
    ['nix ', 'did you mean `nix`?'],
    ['"nix"', 'did you mean `nix`?'],
    ['~/store', 'begins with `~`'],
    [`$\{STORE}`, 'has a variable in it'],
    ['daemon', 'write `nix`'],
    ['C:\\store', 'a path of Windows'],
  ])('is refused as a store: `%s`', async (text, said) => {
    expect(await refused(['store', 'add', '../file', '--store', text])).toContain(said);
    expect(await refused(['pull', path, '--from', '../cache', '--store', text])).toContain(said);
    expect(await refused(['store', 'gc', '--store', text])).toContain(said);
  });

  it.each(['', 's3:/bucket', 'file:///srv/x', '"x"', '~/x', '$OUT', 'x ', ' x', '{{ out }}'])(
    'is refused as what is to be made: `%s`',
    async (text) => {
      const store = ['--store', '../store'];
      expect(await refused(['export', path, '--out', text, ...store])).toContain('(--out)');
      expect(await refused(['key', 'generate', 'k-1', '--out', text])).toContain('(--out)');
      expect(await refused(['key', 'sign', '../file', '--out', text])).toContain('(--out)');
      expect(await refused(['index', 'build', '--from', '../r', '--out', text])).toContain('(--out)');
      expect(await refused(['store', 'add', '../file', '--out-link', text, ...store])).toContain('(--out-link)');
      expect(await refused(['pull', path, '--from', '../c', '--out-link', text])).toContain('(--out-link)');
      expect(await refused(['nar', 'unpack', '../file', text])).toContain('(<dest>)');
    },
  );

  it.each(['https:host', 'https:///host', ' https://host', '"https://host"', 'https://$HOST', 'https://h\\x', ''])(
    'is refused as the address of a web site: `%s`',
    async (text) => {
      const build = ['index', 'build', '--from', '../releases', '--out', 'out'];
      expect(await refused([...build, '--base-url', text])).toContain('(--base-url)');
      expect(await refused([...build, '--forge', text])).toContain('(--forge)');
    },
  );

  it.each([...['نتیجه\u200cها', 'a\u00a0b', 'क्\u200dष', "O'", "O'Brien'", `././$x`, './././{{x}}', '%ABCD%20x']])(
    'is none: `%s`',
    async (name) => {
      const add = ['store', 'add', '../file', '--store', '../store'];
      expect((await box().succeed([...add, '--out-link', name])).lines).toEqual([path]);
      expect((await box().succeed(['store', 'add', '../file', '--store', `../${name}`])).lines).toHaveLength(1);
      await box().succeed(['cache', 'init', `../${name}-cache`]);
    },
  );

  it('is none with a slash more', async () => {
    const store = `/${box().path('other')}`;
    expect((await box().succeed(['store', 'add', '../file', '--store', store])).lines).toHaveLength(1);
    expect(await refused(['cache', 'init', store])).toContain('begins with two slashes');
    await box().succeed(['cache', 'init', `file://${box().path('%2525ABCD%20x')}`]);
  });
});
