import { readFile, utimes } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { openFileStore } from '#lib/object-store/file.js';
import { parseSecretKey, type SecretKey } from '#lib/signing/key.js';
import { PRUNING, toReleaseTime } from '#release/documents/kinds.js';
import { FILES, PRUNINGS, versionKey } from '#release/layout.js';
import { killCount, killOften } from '../support/kill.js';
import { hashesIn, putDocument, putRelease, TEST_TARGET } from '../support/releases.js';
import { type KeyFile, type RunOptions, useSandbox } from '../support/sandbox.js';

const DAY = 86_400_000;
const commit = (number: number) => number.toString(16).padStart(40, '0');
const daysAgo = (days: number) => new Date(Date.now() - days * DAY);

describe('carport release prune', () => {
  const box = useSandbox();
  let keyFile: KeyFile;
  let key: SecretKey;
  let bucket: string;
  beforeEach(async () => {
    keyFile = await box().makeKey('release-1');
    key = parseSecretKey(await readFile(keyFile.file, 'utf8'));
    bucket = box().path('bucket');
  });
  const put = async (version: string, days: number, files?: Readonly<Record<string, string>>) => {
    const { target } = await putRelease(bucket, {
      ...{ version, keys: [key], time: toReleaseTime(daysAgo(days)) },
      ...(files && { files }),
    });
    for (const name of Object.keys(files ?? { garage: '' })) {
      await utimes(`${bucket}/${FILES}${version}/${target}/${name}`, daysAgo(days), daysAgo(days));
    }
  };
  const putBuilds = async (number: number) => {
    for (let each = 1; each <= number; each++) await put(commit(each), 20 + each);
  };
  /** As a run some days ago would have hidden it. */
  const hideAgo = async (version: string, days: number) => {
    const markKey = versionKey(PRUNINGS, version);
    await putDocument(bucket, PRUNING, markKey, { version, time: toReleaseTime(daysAgo(days)) }, [key]);
    await utimes(`${bucket}/${markKey}`, daysAgo(days), daysAgo(days));
  };
  const run = (more: readonly string[], options: RunOptions = {}) =>
    box().carport(['release', 'prune', '--to', bucket, ...more], options);
  const withKey = (...more: readonly string[]) => [...more, '--secret-key', keyFile.file];
  const prune = async (...more: readonly string[]) => {
    const ran = await run(withKey(...more));
    expect(ran.exitCode, ran.stderr).toBe(0);
    return ran;
  };
  const versions = async () => [
    ...new Set([...(await hashesIn(bucket)).keys()].filter((at) => at.startsWith(FILES)).map((at) => at.split('/')[1])),
  ];

  it('never guesses, and refuses what cannot be meant', async () => {
    await putBuilds(2);
    const wrong: readonly (readonly [readonly string[], number, string])[] = [
      [[], 2, '`--keep 20 --keep-within 30d`'],
      [['--delete'], 2, 'it is not said which releases stay'],
      [['--keep', '1', '--channel', 'stable'], 2, 'development'],
      [['--keep', '-1'], 2, 'number'],
      [['--keep', '1', '--keep-within', '3 days'], 2, '`3 days` (--keep-within) is no span of time'],
      [['--keep', '1', '--grace', '5'], 2, '`5` (--grace) is no span of time'],
      [['--keep', '1', '--delete'], 4, '--secret-key'],
      [['--keep', '1', '--to', 'http://127.0.0.1:9/'], 1, 'is a web server'],
      [['--keep', '1', '--stable-pattern', '('], 2, 'is no regular expression'],
    ];
    const before = await hashesIn(bucket);
    for (const [args, exitCode, text] of wrong) {
      const ran = await run(args);
      expect([ran.exitCode, ran.stdout], args.join(' ')).toEqual([exitCode, '']);
      expect(ran.stderr).toContain(text);
    }
    expect(await hashesIn(bucket)).toEqual(before);
  });

  it('prints what it would do, and changes nothing', async () => {
    await putBuilds(4);
    await put('v1.0.0', 100);
    await hideAgo(commit(2), 10);
    await hideAgo(commit(4), 10);
    const before = await hashesIn(bucket);
    const { lines, stderr } = await prune('--keep', '2', '-v');
    expect(lines).toEqual([`restore ${commit(2)}`, `hide ${commit(3)}`, `delete ${commit(4)}`]);
    expect(stderr.split('\n')).toEqual([
      `kept \`${commit(1)}\`: it is one of the newest 2`,
      `kept \`${commit(2)}\`: it is one of the newest 2`,
      expect.stringMatching(/^hide: 1 release \(\d+ B\)$/),
      expect.stringMatching(/^delete: 1 release \(\d+ B\)$/),
      expect.stringMatching(/^restore: 1 release \(\d+ B\)$/),
      'kept: 2 releases (2 newest)',
      'nothing was changed: `--apply` does it',
      '',
    ]);
    const quiet = await prune('--keep', '2', '--quiet');
    expect([quiet.lines, quiet.stderr]).toEqual([lines, '']);
    const unsigned = await run(['--keep', '2', '--trusted-key', keyFile.publicKey]);
    expect([unsigned.exitCode, unsigned.lines]).toEqual([0, lines]);
    // Who trusts nobody sees marks and signed times of nobody, and has to say that this is meant.
    const refused = await run(['--keep', '2']);
    expect([refused.exitCode, refused.stdout]).toEqual([6, '']);
    expect(refused.stderr).toContain('signed by `release-1`: ');
    const stranger = await run(['--keep', '2', '--allow-lost-signatures']);
    expect(stranger.stderr).toContain(`warning: \`carport/prunings/${commit(4)}.json\` is not believed`);
    expect(stranger.lines).toEqual([`hide ${commit(3)}`, `hide ${commit(4)}`]);
    expect(await hashesIn(bucket)).toEqual(before);
  });

  it('prints JSON', async () => {
    await putBuilds(4);
    await hideAgo(commit(2), 10);
    await hideAgo(commit(4), 1);
    const { stdout, stderr } = await prune('--keep', '2', '--json', '--quiet');
    expect(stderr).toBe('');
    const release = (number: number) => ({
      ...{ version: commit(number), files: 1, size: expect.any(Number), time: expect.stringMatching(/Z$/) },
    });
    const why = 'it is one of the newest 2';
    expect(JSON.parse(stdout)).toEqual({
      ...{ version: 1, dryRun: true, warnings: [] },
      ...{ hidden: [release(3)], deleted: [], restored: [release(2)], left: [], waiting: [release(4)] },
      kept: [1, 2].map((number) => ({ version: commit(number), reason: 'newest', why })),
    });
    const done = JSON.parse((await prune('--keep', '2', '--json', '--delete', '--grace', '12h')).stdout);
    expect(done).toMatchObject({ hidden: [release(3)], deleted: [release(4)], restored: [release(2)], dryRun: false });
  });

  it('hides, waits for the index, and deletes', async () => {
    await putBuilds(3);
    await put('v1.0.0', 100);
    const publish = () => box().succeed(['index', 'publish', '--to', bucket, '--secret-key', keyFile.file]);
    const shown = async () => JSON.parse(await readFile(`${bucket}/releases/index.json`, 'utf8')).releases;
    await publish();
    expect(await shown()).toHaveLength(4);
    const hidden = await prune('--keep', '1', '--delete');
    expect(hidden.lines).toEqual([`hide ${commit(2)}`, `hide ${commit(3)}`]);
    expect(hidden.stderr).toContain('`carport index publish` shows it');
    const early = await prune('--keep', '1', '--delete', '--grace', '0', '--quiet');
    expect(early.stdout).toBe('');
    expect(early.stderr).toContain(
      'warning: 2 releases may still be in the index that is published: run `carport index publish`',
    );
    await publish();
    expect((await shown()).map((release: { version: string }) => release.version)).toEqual(['v1.0.0', commit(1)]);
    const waiting = await prune('--keep', '1', '--delete');
    expect([waiting.stdout, waiting.stderr]).toEqual([
      '',
      expect.stringMatching(/^wait for their deletion: 2 releases \(.*\)\nkept: 1 release \(1 newest\)\n$/),
    ]);
    const page = await readFile(`${bucket}/_releases.html`, 'utf8');
    expect((await prune('--keep', '1', '--delete', '--grace', '0')).lines).toEqual([
      `delete ${commit(2)}`,
      `delete ${commit(3)}`,
    ]);
    expect(await versions()).toEqual([commit(1), 'v1.0.0']);
    expect([...(await hashesIn(bucket)).keys()].filter((at) => /0[23]\b/.test(at))).toEqual([]);
    await publish();
    expect(await readFile(`${bucket}/_releases.html`, 'utf8')).toBe(page);
  });

  it('does without a key where that is said', async () => {
    await putBuilds(2);
    const unsigned = ['--keep', '1', '--delete', '--allow-unsigned', '--grace', '0'];
    expect((await run(unsigned)).lines).toEqual([`hide ${commit(2)}`, `delete ${commit(2)}`]);
    expect(await versions()).toEqual([commit(1)]);
  });

  it('has its settings from a file, also what is stable', async () => {
    await put('release-1', 100);
    await put('release-2', 90);
    await put('nightly-1', 80);
    await put('nightly-2', 1);
    const env = { CARPORT_STABLE_PATTERN: 'release-[0-9]+' };
    const ran = await run(withKey('--channel', 'extra', '--keep', '0', '--delete', '--grace', '0'), { env });
    expect(ran.lines).toEqual(['hide nightly-1', 'delete nightly-1']);
    expect(await versions()).toEqual(['nightly-2', 'release-1', 'release-2']);
  });

  it('keeps the newest that has all required targets and is not yanked', async () => {
    await putBuilds(4);
    await putRelease(bucket, { version: commit(3), target: 'y', keys: [key], time: toReleaseTime(daysAgo(23)) });
    await utimes(`${bucket}/${FILES}${commit(3)}/y/garage`, daysAgo(23), daysAgo(23));
    const env = { CARPORT_REQUIRED_TARGETS: `${TEST_TARGET} y` };
    const ran = await run(withKey('--keep', '0'), { env });
    expect(ran.lines).toEqual([`hide ${commit(2)}`, `hide ${commit(4)}`]);
    expect(ran.stderr).toContain('kept: 2 releases (2 latest)');
  });

  it('is killed at any instant, and the same command completes', async () => {
    const builds = 120;
    const files = Object.fromEntries(['a', 'b', 'c'].map((name) => [name, name]));
    const prepare = async () => {
      await openFileStore(bucket).remove([...(await hashesIn(bucket)).keys()]);
      for (let each = 1; each <= builds; each++) await put(commit(each), each, files);
    };
    await prepare();
    const args = () => ['release', 'prune', '--to', bucket, ...withKey('--keep', '1', '--delete', '--grace', '0')];
    await killOften(box(), args, killCount(4), async (wasKilled, at) => {
      const keys = [...(await hashesIn(bucket)).keys()];
      const left = new Map<string, number>();
      for (const each of keys) {
        const version = /^(_releases|carport\/releases)\/(?<version>[^/]+)\//.exec(each)?.groups?.version;
        if (version !== undefined) left.set(version, (left.get(version) ?? 0) + 1);
      }
      const marked = new Set(keys.filter((each) => each.startsWith(PRUNINGS)));
      for (const [version, objects] of left) {
        if (objects < 4) expect(marked, at).toContain(versionKey(PRUNINGS, version));
      }
      if (!wasKilled) {
        expect([...left.keys()], at).toEqual([commit(1)]);
        expect(marked.size).toBe(0);
        await prepare();
        return 'all';
      }
      if (left.size === builds && marked.size === 0) return 'nothing';
      return left.size > 1 ? 'a part' : 'all';
    });
    await box().succeed(args());
    expect(await versions()).toEqual([commit(1)]);
    expect([...(await hashesIn(bucket)).keys()].filter((each) => each.startsWith(PRUNINGS))).toEqual([]);
  });
});
