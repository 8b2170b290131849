import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { execa } from 'execa';
import { beforeEach, describe, expect, it } from 'vitest';
import { openFileStore } from '#lib/object-store/file.js';
import type { ActivityEvent } from '#lib/work.js';
import { readBuild } from '#release/ci/detect.js';
import { YANK } from '#release/documents/kinds.js';
import { fileKey, versionKey, YANKS } from '#release/layout.js';
import { askGates } from '#release/promote/gates/ask.js';
import type { GateRules, GateTools, Verdict } from '#release/promote/gates/gate.js';
import { candidateOf } from '#release/sources/candidate.js';
import { readSources } from '#release/sources/sources.js';
import { channelRule } from '#release/version.js';
import { useDirectory } from '../../support/files.js';
import { isAlive } from '../../support/processes.js';
import { describeWithProgram } from '../../support/programs.js';
import { putDocument, putRelease, type TestRelease } from '../../support/releases.js';
import { sampleKey } from '../../support/samples.js';
import { CASES } from '../ci/environments.js';

const KEY = sampleKey('release-1');
const POLICY = { keys: [KEY.publicKey], allowUnsigned: false };
const FROM = 'v1.2.0-rc1';
const NOW = new Date('2026-11-10T12:00:00Z');
const TARGETS = ['aarch64-unknown-linux-musl', 'x86_64-unknown-linux-musl'];

describe('the gates', () => {
  const directory = useDirectory();
  const bucket = () => join(directory(), 'bucket');
  const put = async (release: Partial<TestRelease> = {}) => {
    for (const target of TARGETS) await putRelease(bucket(), { version: FROM, target, keys: [KEY], ...release });
  };
  const tools = (more: Partial<GateTools> = {}): GateTools => ({
    ...{ objects: openFileStore(bucket()), now: NOW, directory: directory(), env: process.env },
    ...{ signal: new AbortController().signal, show: async () => undefined, emit: () => undefined, ...more },
  });
  const ask = async (
    rules: Partial<GateRules>,
    more: Partial<GateTools> = {},
    tell: (verdict: Verdict) => void = () => undefined,
  ) => {
    const candidate = candidateOf(FROM, await readSources(openFileStore(bucket()), POLICY, FROM));
    const plan = { candidate, version: 'v1.2.0', channel: 'stable' };
    const all = { requiredTargets: [], commands: [], commandSeconds: 600, ...rules };
    return askGates(plan, all, tools(more), tell);
  };
  const verdictOf = async (gate: string, rules: Partial<GateRules> = {}, more: Partial<GateTools> = {}) => {
    const verdicts = await ask(rules, more);
    const found = verdicts.filter((verdict) => verdict.gate === gate);
    expect(found).toHaveLength(1);
    return `${found[0]!.passed ? 'passed' : 'failed'}: ${found[0]!.detail}`;
  };

  it('are asked in their order, all of them, and tell as they go', async () => {
    await put();
    const told: string[] = [];
    const rules = {
      ...{ requiredTargets: ['riscv64-unknown-linux-musl'], minimumAgeMs: 0, ancestorOf: 'main' },
      commands: ['exit 3', 'true'],
    };
    const verdicts = await ask(rules, {}, ({ gate, passed }) => told.push(`${gate} ${passed}`));
    expect(told).toEqual([
      ...['not-yanked true', 'files true', 'required-targets false', 'minimum-age true', 'ancestor false'],
      ...['hashes true', 'command false', 'command true'],
    ]);
    expect(verdicts.map(({ gate, passed }) => `${gate} ${passed}`)).toEqual(told);
    expect(verdicts.at(-2)!.detail).toBe('`exit` (1 of 2) ended with 3');
    expect((await ask({})).map(({ gate }) => gate)).toEqual(['not-yanked', 'files', 'hashes']);
  });

  describe('not-yanked', () => {
    const yank = { version: FROM, reason: 'loses data', time: '2026-11-02T00:00:00Z' };
    const key = versionKey(YANKS, FROM);

    it('passes where nobody has yanked', async () => {
      await put();
      expect(await verdictOf('not-yanked')).toBe('passed: it is not yanked');
    });

    it('fails for a yank, be it of somebody unknown, and for what may be one', async () => {
      await put();
      await putDocument(bucket(), YANK, key, yank, [KEY]);
      expect(await verdictOf('not-yanked')).toBe(`failed: \`${FROM}\` is yanked: loses data`);
      await putDocument(bucket(), YANK, key, yank, [sampleKey('other-1', 2)]);
      expect(await verdictOf('not-yanked')).toMatch(/^failed: somebody who is not trusted/);
      await writeFile(join(bucket(), key), '{"schema":');
      expect(await verdictOf('not-yanked')).toMatch(/^failed: .*cannot be read/);
    });
  });

  it('files: each is there, in its size', async () => {
    await put({ files: { a: 'aaa', b: 'bbb' } });
    expect(await verdictOf('files')).toBe('passed: 4 of 4 are there, in their sizes');
    const [one, other] = TARGETS.map((target) => fileKey(FROM, target, 'b')) as [string, string];
    await openFileStore(bucket()).remove([one]);
    await writeFile(join(bucket(), other), 'bb');
    expect(await verdictOf('files')).toBe(`failed: missing, or not in their size: \`${one}\`, \`${other}\``);
  });

  it('required-targets: all of them', async () => {
    await put();
    const required = { requiredTargets: [...TARGETS, TARGETS[0]!] };
    expect(await verdictOf('required-targets', required)).toBe('passed: 2 of 2 are there');
    const more = { requiredTargets: [...TARGETS, 'i686-unknown-linux-musl'] };
    expect(await verdictOf('required-targets', more)).toBe(
      'failed: 2 of 3 are there; missing: `i686-unknown-linux-musl`',
    );
  });

  it.each([
    ['2026-11-07T12:00:00Z', 'passed: 3 days old, 3 days are asked for'],
    ['2026-11-07T12:00:01Z', 'failed: 2 days old, 3 days are asked for'],
    ['2026-11-10T11:00:00Z', 'failed: 1 hour old, 3 days are asked for'],
    ['2026-11-10T12:00:00Z', 'failed: 0 seconds old, 3 days are asked for'],
    ['2026-11-10T12:00:01Z', 'failed: it is from the future: check the clocks'],
  ])('minimum-age: of what was published last, which was on %s', async (changed, expected) => {
    await put();
    await putRelease(bucket(), { version: FROM, target: 'young', changed, keys: [KEY] });
    expect(await verdictOf('minimum-age', { minimumAgeMs: 3 * 86_400_000 })).toBe(expected);
  });

  describe('hashes', () => {
    it('reads every file again', async () => {
      await put({ files: { a: 'aaa', b: 'bbb' } });
      expect(await verdictOf('hashes')).toBe('passed: 4 of 4 are what was signed');
      const key = fileKey(FROM, TARGETS[1]!, 'a');
      for (const content of ['aab', 'aaaa', 'aa', '']) {
        await writeFile(join(bucket(), key), content);
        expect(await verdictOf('hashes')).toBe(`failed: not what was signed: \`${key}\``);
      }
      await openFileStore(bucket()).remove([key]);
      expect(await verdictOf('hashes')).toMatch(/^failed/);
    });

    it('tells how far it is', async () => {
      await put({ files: { a: 'aaa', b: 'bbbb' } });
      const events: ActivityEvent[] = [];
      await ask({}, { emit: (event) => events.push(event) });
      expect(events[0]).toEqual({ type: 'started', verb: 'check', unit: 'files', items: 4, bytes: 14 });
      const read = events.map((event) => (event.type === 'progress' ? (event.bytes ?? 0) : 0));
      expect(read.reduce((sum, bytes) => sum + bytes, 0)).toBe(14);
      expect(events.filter(({ type }) => type === 'item-finished')).toHaveLength(4);
    });
  });

  describeWithProgram('git', 'ancestor', () => {
    const repository = () => join(directory(), 'repository');
    const git = async (...args: readonly string[]) => {
      const identity = ['-c', 'user.name=x', '-c', 'user.email=x@example.org', '-c', 'commit.gpgsign=false'];
      return (await execa('git', [...identity, ...args], { cwd: repository() })).stdout;
    };
    const commit = async (name: string) => {
      await git('commit', '--allow-empty', '-qm', name);
      return git('rev-parse', 'HEAD');
    };
    let first: string;
    let aside: string;
    let tip: string;
    beforeEach(async () => {
      await execa('git', ['init', '-q', '-b', 'main', repository()]);
      first = await commit('first');
      await git('checkout', '-q', '-b', 'aside');
      aside = await commit('aside');
      await git('checkout', '-q', 'main');
      tip = await commit('tip');
    });
    const verdict = async (of: string | null, ancestorOf = 'main', at = repository(), env: NodeJS.ProcessEnv = {}) => {
      await put({ commit: of });
      return verdictOf('ancestor', { ancestorOf }, { directory: at, env: { ...process.env, ...env } });
    };

    it('passes for what is in the branch', async () => {
      expect(await verdict(first)).toBe(`passed: the commit ${first} is in \`main\``);
      expect(await verdict(tip)).toMatch(/^passed/);
      expect(await verdict(aside, 'aside')).toMatch(/^passed/);
    });

    it('fails for what is not', async () => {
      expect(await verdict(aside)).toBe(`failed: the commit ${aside} is not in \`main\``);
      expect(await verdict(tip, 'aside')).toMatch(/is not in `aside`$/);
    });

    it('takes the branch and no tag of its name, nor a replacement', async () => {
      await git('tag', 'main', aside);
      expect(await verdict(aside)).toMatch(/^failed: .* is not in `main`$/);
      await git('replace', '--graft', tip, first, aside);
      expect(await verdict(aside)).toMatch(/^failed: .* is not in `main`$/);
    });

    it('knows branches of a server', async () => {
      const clone = join(directory(), 'clone');
      await execa('git', ['clone', '-q', repository(), clone]);
      expect(await verdict(aside, 'origin/aside', clone)).toMatch(/^passed/);
      expect(await verdict(aside, 'origin/main', clone)).toMatch(/^failed/);
    });

    it('knows commits of repositories with SHA-256, and takes no part of one, nor a branch, for a whole one', async () => {
      await rm(repository(), { recursive: true });
      await execa('git', ['init', '-q', '--object-format=sha256', '-b', 'main', repository()]);
      const long = await commit('long');
      expect(long).toHaveLength(64);
      expect(await verdict(long)).toBe(`passed: the commit ${long} is in \`main\``);
      const part = long.slice(0, 40);
      expect(await verdict(part)).toBe(`failed: the commit ${part} is not in this checkout: fetch it`);
      const named = '0123456789'.repeat(4);
      await git('update-ref', `refs/heads/${named}`, long);
      expect(await verdict(named)).toMatch(/is not in this checkout: fetch it$/);
    });

    it('says that git does not know, and not that the commit is elsewhere', async () => {
      const unknown = '0123456789'.repeat(4);
      expect(await verdict(unknown)).toBe(`failed: the commit ${unknown} is not in this checkout: fetch it`);
      expect(await verdict(first, 'nowhere')).toMatch(/^failed: `nowhere` is not in this checkout/);
      const env = { GIT_CEILING_DIRECTORIES: directory(), GIT_DIR: undefined };
      expect(await verdict(first, 'main', directory(), env)).toMatch(/^failed: git cannot say: fatal: not a git repo/);
      expect(await verdict(first, 'main', repository(), { PATH: directory() })).toBe(
        'failed: git cannot say: it is not installed',
      );
      const shallow = join(directory(), 'shallow');
      await execa('git', ['clone', '-q', '--depth', '1', '--no-single-branch', `file://${repository()}`, shallow]);
      expect(await verdict(aside, 'origin/main', shallow)).toMatch(/^failed: this checkout is shallow/);
      expect(await verdict(tip, 'origin/main', shallow)).toMatch(/^passed/);
    });

    it('takes no name of a branch for an option or a command', async () => {
      for (const name of ['-x', '--all', '--is-ancestor', '$(touch x)', '; touch x', 'main main', ':/', '^main']) {
        expect(await verdict(first, name)).toMatch(/^failed: `.*` is not in this checkout/);
      }
      await expect(readFile(join(repository(), 'x'))).rejects.toThrow('ENOENT');
    });

    it('fails where targets are of several commits, or do not say', async () => {
      expect(await verdict(null)).toMatch(/^failed: its targets are not all of one commit/);
      await put({ commit: first });
      await putRelease(bucket(), { version: FROM, target: TARGETS[0]!, commit: tip, keys: [KEY] });
      expect(await verdictOf('ancestor', { ancestorOf: 'main' }, { directory: repository() })).toMatch(/^failed: its/);
    });
  });

  describe('command', () => {
    const output: string[] = [];
    const run = async (command: string, rules: Partial<GateRules> = {}, more: Partial<GateTools> = {}) => {
      output.length = 0;
      const show = async (printed: AsyncIterable<Uint8Array>) => {
        for await (const bytes of printed) output.push(Buffer.from(bytes).toString());
      };
      return verdictOf('command', { commands: [command], ...rules }, { show, ...more });
    };
    /** What a command has written down, once it is all there. */
    const notes = async (files: readonly string[]) => {
      const texts = await Promise.all(files.map((file) => readFile(join(directory(), file), 'utf8').catch(() => '')));
      return texts.every((text) => text.endsWith('\n')) ? texts.map(Number) : undefined;
    };
    const expectGone = async (...files: readonly string[]) => {
      const processIds = await notes(files);
      expect(Math.min(...processIds!)).toBeGreaterThan(1);
      await expect.poll(() => processIds!.filter(isAlive)).toEqual([]);
    };
    /** Runs what takes too long, and notes its processes. On a busy machine its time may be over before: then it gets more. */
    const runTooLong = async (command: string, ...files: readonly string[]) => {
      for (let commandSeconds = 1; (await notes(files)) === undefined; commandSeconds *= 4) {
        const verdict = await run(command, { commandSeconds });
        expect(verdict).toMatch(new RegExp(`^failed: .* took longer than ${commandSeconds} s, and was ended$`));
      }
    };

    it('must end with 0', async () => {
      await put();
      expect(await run('true')).toMatch(/^passed: `true` ended with 0 after 0 s$/);
      expect(await run('exit 7')).toBe('failed: `exit` ended with 7');
      expect(await run('kill -9 $$')).toBe('failed: `kill` ended with SIGKILL');
      expect(await run('no-such-program-here')).toBe('failed: `no-such-program-here` ended with 127');
      expect(await run('if')).toMatch(/^failed: `if` ended with 2$/);
      expect(await run('true', {}, { directory: join(directory(), 'gone') })).toMatch(
        /^failed: `true` did not run: .*ENOENT/s,
      );
    });

    it('runs in the directory, reads nothing, and is shown what it prints', async () => {
      await put();
      expect(await run('pwd; cat; echo wrong >&2')).toMatch(/^passed/);
      expect(output.join('').split('\n').sort()).toEqual(['', directory(), 'wrong']);
    });

    it('prints as much as it likes', async () => {
      await put();
      let size = 0;
      const show = async (printed: AsyncIterable<Uint8Array>) => {
        for await (const bytes of printed) {
          size += bytes.length;
          await pause(0);
        }
      };
      expect(await verdictOf('command', { commands: ['head -c 30000000 /dev/zero'] }, { show })).toMatch(/^passed/);
      expect(size).toBe(30_000_000);
    });

    it('is told of the promotion, and no secrets', async () => {
      await put({ commit: '7fd1a60b01f91b314f59955a4e4d4e80d8edf11d' });
      const secrets = {
        ...{ AWS_SECRET_ACCESS_KEY: 'SEKRET1', AWS_SESSION_TOKEN: 'SEKRET2', CARPORT_SECRET_KEY_FILES: 'SEKRET3' },
        ...{ AWS_SECRET_ACCESS_KEY_FILE: 'SEKRET4', AWS_CONTAINER_AUTHORIZATION_TOKEN: 'SEKRET5' },
        ...{ AWS_ACCESS_KEY_ID: 'SEKRET6', AWS_PROFILE: 'SEKRET7', RELEASE_KEY: 'SEKRET8', GITHUB_TOKEN: 'SEKRET9' },
        ...{ CI_JOB_TOKEN: 'SEKRET10', DRONE_NETRC_PASSWORD: 'SEKRET11', ANYTHING: 'SEKRET12' },
        ...{ GIT_CONFIG_VALUE_0: 'SEKRET13', CARPORT_TO: 'SEKRET14' },
      };
      const kept = { LC_TIME: 'C', CI: 'true', CI_COMMIT_TAG: 'v1.2.0-rc1', GITHUB_RUN_ID: '7' };
      await run('env', {}, { env: { ...process.env, ...secrets, ...kept } });
      const lines = output.join('').split('\n');
      expect(lines).toEqual(
        expect.arrayContaining([
          ...['CARPORT_RELEASE_VERSION=v1.2.0-rc1', 'CARPORT_RELEASE_AS=v1.2.0', 'CARPORT_RELEASE_CHANNEL=stable'],
          'CARPORT_RELEASE_COMMIT=7fd1a60b01f91b314f59955a4e4d4e80d8edf11d',
          ...[
            `CARPORT_RELEASE_TARGETS=${TARGETS.join(' ')}`,
            ...Object.entries(kept).map(([name, value]) => `${name}=${value}`),
          ],
        ]),
      );
      expect(output.join('')).not.toContain('SEKRET');
    });

    it.each(CASES)('knows its build of CI: $name', async ({ env }) => {
      await put();
      await run('env', {}, { env: { ...process.env, ...env } });
      const lines = output
        .join('')
        .split('\n')
        .filter((line) => line.includes('='));
      const seen = Object.fromEntries(lines.map((line) => [line.split('=', 1)[0], line.replace(/^[^=]*=/, '')]));
      const { target: _, origins: __, ...build } = readBuild(env, channelRule());
      expect(readBuild(seen, channelRule())).toMatchObject(build);
    });

    it('tells the program only: arguments and variables may be secrets, and verdicts are published', async () => {
      await put();
      expect(await run('true --token=SEKRET')).toBe('passed: `true` ended with 0 after 0 s');
      expect(await run('TOKEN=SEKRET true')).toBe('passed: command 1 of 1 ended with 0 after 0 s');
      expect(await run('"SEKRET"')).toBe('failed: command 1 of 1 ended with 127');
    });

    it('is ended with all that it has started when it takes too long', async () => {
      await put();
      const command = 'sleep 1000 & echo $! > child; (trap "" TERM; sleep 1001) & echo $! > deaf; sleep 1002';
      await runTooLong(command, 'child', 'deaf');
      await expectGone('child', 'deaf');
    });

    it('is killed when it does not listen', async () => {
      await put();
      await runTooLong('trap "" TERM; echo $$ > shell; while true; do sleep 1; done', 'shell');
      await expectGone('shell');
    });

    it('leaves nothing behind, and is not waited for by way of what has left its group', async () => {
      await put();
      const start = performance.now();
      expect(await run('sleep 1000 & echo $! > child')).toMatch(/^passed/);
      await expectGone('child');
      expect(await run('setsid sleep 60 & sleep 0.2')).toMatch(/^passed/);
      expect(performance.now() - start).toBeLessThan(45_000);
    });

    it('is ended when the whole is stopped', async () => {
      await put();
      const stop = new AbortController();
      const running = run('echo $$ > shell; sleep 1000', {}, { signal: stop.signal });
      running.catch(() => undefined);
      await expect.poll(() => notes(['shell'])).toBeDefined();
      stop.abort(new Error('stopped here'));
      await expect(running).rejects.toThrow('stopped here');
      await expectGone('shell');
    });
  });
});
