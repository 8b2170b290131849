import { chmod, cp, mkdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { runCommandLine } from '#bin/program.js';
import { keyFingerprint, parsePublicKey } from '#lib/signing/key.js';
import { serve } from '../support/cache-commands.js';
import { createAdder } from '../support/samples.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

const box = useSandbox();
const at = (...names: string[]) => box().path(...names);
const config = () => at('config/carport/config.toml');
const written = () => readFile(config(), 'utf8');
const use = (...args: readonly string[]) => box().carport(['use', ...args]);
const fingerprintOf = ({ publicKey }: KeyFile) => keyFingerprint(parsePublicKey(publicKey));

/** A cache with one path and a pin; gives the path. */
async function fill(key: KeyFile): Promise<string> {
  const add = createAdder(at('store'), at('trees'));
  const { path } = await add('tool', { file: 'x' });
  await add.close();
  const push = ['push', path, '--store', at('store'), '--to', at('cache'), '--pin', 'tool'];
  await box().succeed([...push, '--secret-key', key.file]);
  await box().succeed(['key', 'publish', '--to', at('cache'), '--secret-key', key.file]);
  return path;
}

/** What a person sees and does who types an answer at a terminal. */
async function atTerminal(args: readonly string[], answer: string) {
  const terminal = () => Object.assign(new PassThrough(), { isTTY: true });
  const [stdin, stdout, stderr] = [terminal(), new PassThrough(), terminal()];
  let shown = '';
  stderr.on('data', (bytes) => {
    shown += bytes;
    if (/: $/.test(shown) && !stdin.writableEnded) stdin.end(`${answer}\n`);
  });
  stdout.resume();
  const env = { ...box().env };
  const exitCode = await runCommandLine(args, { env, stdin, stdout, stderr, cwd: () => at('work') });
  return { exitCode, shown };
}

describe('carport use', () => {
  it('shows keys that have signed what is there, asks, and writes settings that pull reads', async () => {
    const key = await box().makeKey('mine-1');
    const path = await fill(key);
    const no = await atTerminal(['use', at('cache')], 'y');
    expect(no).toMatchObject({ exitCode: 2, shown: expect.stringContaining('nothing was written') });
    await expect(stat(config())).rejects.toThrow();
    const yes = await atTerminal(['use', at('cache')], 'yes');
    expect(yes.exitCode, yes.shown).toBe(0);
    for (const part of [key.publicKey, fingerprintOf(key), 'has signed what is there (1 path looked at)']) {
      expect(yes.shown).toContain(part);
    }
    expect(await written()).toBe(`from = ["file://${at('cache')}"]\ntrusted-keys = ["${key.publicKey}"]\n`);
    expect(await box().succeed(['pull', 'tool', '--dry-run'])).toMatchObject({ lines: [path] });
    const [before] = [await written(), await use(at('cache'), '--key', key.publicKey, '--yes')];
    expect(await written()).toBe(before);
  });

  it('trusts nothing where no person has compared the key', async () => {
    const key = await box().makeKey('mine-1');
    const other = await box().makeKey('other-1');
    await fill(key);
    for (const args of [[], ['--yes'], ['--key', key.publicKey]]) {
      expect(await use(at('cache'), ...args)).toMatchObject({ exitCode: 2 });
    }
    const sameName = other.publicKey.replace('other-1', 'mine-1');
    for (const args of [
      ['--key', other.publicKey],
      ['--key', sameName],
      ['--fingerprint', fingerprintOf(other)],
    ]) {
      expect(await use(at('cache'), '--yes', ...args)).toMatchObject({ exitCode: 6 });
    }
    expect(await use(at('nothing'), '--yes', '--key', key.publicKey)).toMatchObject({ exitCode: 5 });
    // What a cache tells of its keys is no proof that they have signed it.
    await box().succeed(['key', 'publish', '--to', at('cache'), '--secret-key', other.file]);
    expect(await use(at('cache'), '--yes', '--fingerprint', fingerprintOf(other))).toMatchObject({ exitCode: 6 });
    await expect(stat(config())).rejects.toThrow();
    const json = await use(at('cache'), '--yes', '--fingerprint', fingerprintOf(key), '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({
      ...{ version: 1, changed: true, checked: 1, file: config() },
      keys: [{ name: 'mine-1', publicKey: key.publicKey, fingerprint: fingerprintOf(key), verified: true }],
    });
  });

  it('keeps what is in the file, its mode and a link to it, and takes out what it has put there', async () => {
    const [key, other] = [await box().makeKey('mine-1'), await box().makeKey('other-1')];
    await fill(key);
    const mine = `# my settings\nfrom = [\n  "https://a.example", # first\n]\njobs = 2 # few\ntrusted-keys = ["${other.publicKey}"]\n`;
    await mkdir(at('config/carport'), { recursive: true });
    await writeFile(at('config/real.toml'), mine);
    await chmod(at('config/real.toml'), 0o600);
    await symlink('../real.toml', config());
    const dry = await use(at('cache'), '--key', key.publicKey, '--dry-run');
    expect(dry).toMatchObject({
      exitCode: 0,
      lines: [`  "file://${at('cache')}",`, expect.stringContaining('mine-1')],
    });
    expect(await written()).toBe(mine);
    await box().succeed(['use', at('cache'), '--key', key.publicKey, '--yes']);
    expect(await written()).toBe(
      mine.replace('# first\n', `# first\n  "file://${at('cache')}",\n`).replace(/"\]\n$/, `", "${key.publicKey}"]\n`),
    );
    expect(await readlink(config())).toBe('../real.toml');
    expect((await stat(config())).mode & 0o777).toBe(0o600);
    await box().succeed(['use', at('cache'), '--remove']);
    expect(await written()).toBe(mine);
    expect(await use(at('cache'), '--remove')).toMatchObject({ exitCode: 0, stdout: '' });
  });

  it('takes out no key that was there before it, and none that another cache needs', async () => {
    const [key, next] = [await box().makeKey('mine-1'), await box().makeKey('mine-2')];
    await fill(key);
    await cp(at('cache'), at('copy'), { recursive: true });
    const mine = `trusted-keys = ["${key.publicKey}"]\n`;
    await mkdir(at('config/carport'), { recursive: true });
    await writeFile(config(), mine);
    const trusted = async () => /trusted-keys = .*/.exec(await written())?.[0];
    const take = (...args: readonly string[]) => box().succeed(['use', ...args, '--yes']);
    // Once more with another key: what came stays noted, what was there does not become its own.
    await take(at('cache'), '--key', key.publicKey);
    await take(at('cache'), '--key', key.publicKey, '--key', next.publicKey);
    await take(at('cache'), '--key', key.publicKey);
    expect(await trusted()).toContain(next.publicKey);
    const gone = await box().succeed(['use', at('cache'), '--remove']);
    expect(gone.lines.join()).not.toBe('');
    expect(await trusted()).toBe(mine.trim());
    await take(at('cache'), '--key', key.publicKey);
    expect((await box().succeed(['use', at('cache'), '--remove'])).stderr).toContain('were there before it');
    expect(await trusted()).toBe(mine.trim());
    await rm(config());
    await take(at('cache'), '--key', key.publicKey);
    await take(at('copy'), '--key', key.publicKey);
    await box().succeed(['use', at('cache'), '--remove']);
    expect(await trusted()).toBe(mine.trim());
    await box().succeed(['use', at('copy'), '--remove']);
    expect(await written()).not.toContain('mine-1');
  });

  it('looks at a pin or a path of a web server, which cannot be listed', async () => {
    const key = await box().makeKey('mine-1');
    const path = await fill(key);
    const url = await serve((request, response) => {
      readFile(at('cache', decodeURIComponent(new URL(request.url!, 'http://x').pathname))).then(
        (bytes) => response.end(request.method === 'HEAD' ? undefined : bytes),
        () => response.writeHead(404).end(),
      );
    });
    await rm(at('cache/carport/keys.json'));
    const args = [url, '--key', key.publicKey, '--yes'];
    for (const what of ['tool', path]) {
      const ran = await use(...args, '--check', what);
      expect(ran).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('1 path looked at') });
    }
    expect(await use(...args, '--check', 'x y')).toMatchObject({ exitCode: 2 });
    expect(await use(...args, '--check', 'other')).toMatchObject({ exitCode: 5 });
  });
});
