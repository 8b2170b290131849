import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithPeer } from '../support/peers.js';
import { CRANE, missingForImages, type Registry, startRegistry } from '../support/registry.js';
import { useSandbox } from '../support/sandbox.js';

const box = useSandbox('all');

const DAY = 86_400;

describeWithPeer(missingForImages(), 'pruning a repository', () => {
  let registry: Registry;
  beforeAll(async () => {
    registry = await startRegistry();
  });
  afterAll(() => registry?.close());

  async function push(tag: string, daysAgo: number, platforms: readonly string[] = ['linux/amd64']): Promise<void> {
    await writeFile(box().path('work/file'), tag);
    const env = { SOURCE_DATE_EPOCH: String(Math.floor(Date.now() / 1000) - daysAgo * DAY) };
    const names = platforms.map((platform) => `${registry.host}/app:${tag}-${platform.replaceAll('/', '-')}`);
    for (const [at, platform] of platforms.entries()) {
      const to = platforms.length === 1 ? `${registry.host}/app:${tag}` : names[at]!;
      await box().succeed(['image', 'push', 'file', to, '--platform', platform], { env });
    }
    if (platforms.length > 1) await box().succeed(['image', 'index', `${registry.host}/app:${tag}`, ...names]);
  }
  const tags = () =>
    execFileSync(CRANE, ['ls', '--insecure', `${registry.host}/app`])
      .toString()
      .trim()
      .split('\n')
      .sort();
  const prune = (...args: readonly string[]) => box().carport(['image', 'prune', `${registry.host}/app`, ...args]);

  it('removes what no rule keeps, when it is told to', async () => {
    await push('v1.0.0', 90);
    await push('nightly-1', 40, ['linux/amd64', 'linux/arm64']);
    await push('nightly-2', 30, ['linux/amd64', 'linux/arm64']);
    await push('nightly-3', 2);
    const [before, index] = [
      tags(),
      execFileSync(CRANE, ['digest', '--insecure', `${registry.host}/app:nightly-2`])
        .toString()
        .trim(),
    ];
    await mkdir(box().path('work/project'));
    await writeFile(
      box().path('work/project/carport.toml'),
      '[retention.images]\ntags = ["nightly-2"]\nkeep = 1\ndays = 7\n',
    );
    expect((await prune()).stderr).toContain('it is not said which images stay');
    const rules = { cwd: box().path('work/project') };
    const args = ['image', 'prune', `${registry.host}/app`];
    const refused = await box().carport(args, rules);
    expect(refused).toMatchObject({ exitCode: 2 });
    expect(refused.stderr).toContain('`--yes`');
    const planned = JSON.parse((await box().succeed([...args, '--dry-run', '--json'], rules)).stdout);
    expect(planned.result).toBe('planned');
    expect(tags()).toEqual(before);
    const done = JSON.parse((await box().succeed([...args, '--yes', '--json'], rules)).stdout);
    expect(done.repositories[0].removed.map((each: { readonly tags: readonly string[] }) => each.tags)).toEqual([
      ['nightly-1'],
      ...[['nightly-1-linux-amd64'], ['nightly-1-linux-arm64']],
    ]);
    // What the index that stays refers to stays with its tag: this registry removes none alone.
    expect(done.repositories[0].stuck).toHaveLength(2);
    expect(tags()).toEqual(['nightly-2', 'nightly-2-linux-amd64', 'nightly-2-linux-arm64', 'nightly-3', 'v1.0.0']);
    execFileSync(CRANE, ['validate', '--insecure', '--remote', `${registry.host}/app@${index}`], { stdio: 'pipe' });
  });

  it('keeps versions of releases in the bucket', async () => {
    const key = await box().makeKey('test');
    await writeFile(box().path('work/file'), 'x');
    const cache = ['--cache', `file://${box().path('releases')}`];
    const target = ['--target', 'x86_64-unknown-linux-musl'];
    await box().succeed([
      'release',
      'put',
      'file',
      '--tag',
      'v2.0.0-rc1',
      ...target,
      ...cache,
      '--secret-key',
      key.file,
    ]);
    await push('v2.0.0-rc1', 80);
    await push('v2.0.0-rc2', 80);
    await box().succeed(['image', 'prune', `${registry.host}/app`, '--keep', '0', '--match', 'v2*', '--yes', ...cache]);
    expect(tags()).toContain('v2.0.0-rc1');
    expect(tags()).not.toContain('v2.0.0-rc2');
  });
});
