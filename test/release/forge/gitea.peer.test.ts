import { createHash } from 'node:crypto';
import { open, readFile, writeFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import type { Forge, ReleaseText } from '#lib/forge/contract.js';
import { openForge } from '#lib/forge/open.js';
import { parsePlace } from '#lib/forge/place.js';
import { createHttpClient } from '#lib/http/client.js';
import { parseSecretKey } from '#lib/signing/key.js';
import { publishOnForge } from '#release/forge/publish.js';
import { checkedContent } from '#release/forge/wanted.js';
import { type GiteaRelease, missingForGitea, useGitea } from '../../support/gitea.js';
import { killCount, killOften } from '../../support/kill.js';
import { describeWithPeer } from '../../support/peers.js';
import { putRelease } from '../../support/releases.js';
import { useSandbox } from '../../support/sandbox.js';

describeWithPeer(missingForGitea(), 'Gitea', () => {
  const gitea = useGitea();
  const sandbox = useSandbox();

  /** Hashes of what everybody can download, by name. */
  async function downloads({ assets }: GiteaRelease): Promise<Readonly<Record<string, string>>> {
    const entries = assets.map(async ({ name, browser_download_url: url }) => {
      const hasher = createHash('sha256');
      const { body, status } = await fetch(url);
      expect(status).toBe(200);
      for await (const piece of body!) hasher.update(piece);
      return [name, hasher.digest('hex')] as const;
    });
    return Object.fromEntries(await Promise.all(entries));
  }

  function sha256(content: string | Uint8Array): string {
    return createHash('sha256').update(content).digest('hex');
  }

  it('publishes a signed release of a bucket, once; a candidate becomes stable', async () => {
    const box = sandbox();
    const { address, commit, releases } = await gitea().repository('bucket', ['v1.2.0-rc1']);
    const { file, publicKey } = await box.makeKey('release.example.org-1');
    const key = parseSecretKey(await readFile(file, 'utf8'));
    const bucket = box.path('bucket');
    const [one, other] = ['x86_64-unknown-linux-musl', 'aarch64-unknown-linux-musl'];
    for (const target of [one, other]) {
      const files = { tool: `tool for ${target}`, 'tool.tar.gz': `archive for ${target}`, 'NOTICE.txt': 'the same' };
      await putRelease(bucket, { version: 'v1.2.0-rc1', target, commit, keys: [key], files });
    }
    const to = ['--to', 'gitea', address];
    const from = ['--cache', `file://${bucket}`, '--trusted-key', publicKey];
    const publish = (...more: readonly string[]) =>
      box.succeed(['release', 'forge-publish', 'v1.2.0-rc1', ...to, ...from, '--json', ...more], { env: gitea().env });
    const signed = ['--checksums', '--secret-key', file];
    const planned = JSON.parse((await publish('--dry-run')).stdout);
    expect(planned).toMatchObject({ version: 1, result: 'planned', forge: { state: 'planned', release: null } });
    expect(await releases('dev')).toEqual([]);
    const done = JSON.parse((await publish('--title', 'Candidate 1', ...signed)).stdout);
    expect(done).toMatchObject({
      result: 'done',
      forge: { kind: 'gitea', state: 'published', removed: [], differences: [] },
    });
    const [release] = await releases('everybody');
    expect(release).toMatchObject({ tag_name: 'v1.2.0-rc1', name: 'Candidate 1', draft: false, prerelease: true });
    expect(await downloads(release!)).toEqual({
      SHA256SUMS: expect.any(String),
      'SHA256SUMS.minisig': expect.any(String),
      [`tool-${one}`]: sha256(`tool for ${one}`),
      [`tool-${other}`]: sha256(`tool for ${other}`),
      [`tool-${one}.tar.gz`]: sha256(`archive for ${one}`),
      [`tool-${other}.tar.gz`]: sha256(`archive for ${other}`),
      'NOTICE.txt': sha256('the same'),
    });
    expect(JSON.parse((await publish(...signed)).stdout)).toMatchObject({
      result: 'skipped',
      forge: { state: 'unchanged' },
    });
    const promoted = JSON.parse((await publish('--promote', ...signed)).stdout);
    expect(promoted).toMatchObject({ result: 'done', forge: { state: 'promoted', latest: null } });
    expect(await releases('everybody')).toMatchObject([{ name: 'Stable 1', draft: false, prerelease: false }]);
    expect(JSON.parse((await publish('--promote', ...signed)).stdout)).toMatchObject({ result: 'skipped' });
  });

  it('takes files of no byte and names with spaces; goes on with a draft, and says how a published one differs', async () => {
    const box = sandbox();
    const { address, commit, releases } = await gitea().repository('files', ['lib/v1.0.0']);
    await writeFile(box.path('work', 'a file.txt'), 'one');
    await writeFile(box.path('work', 'empty'), '');
    const { env } = gitea();
    const args = [
      'release',
      'forge-publish',
      'lib/v1.0.0',
      '--to',
      `gitea:${address}`,
      '--files',
      '*',
      '--commit',
      commit,
    ];
    await box.succeed([...args, '--draft', '--title', 'By hand'], { env });
    expect(await releases('everybody')).toEqual([]);
    // As others leave it: one file twice, one cut short, and one that nobody knows.
    const [draft] = await releases('dev');
    expect(draft).toMatchObject({ draft: true, name: 'By hand' });
    for (const [name, content] of [
      ['a file.txt', 'one'],
      ['empty', 'not so'],
    ] as const) {
      const form = new FormData();
      form.set('attachment', new Blob([content]), name);
      const url = `${gitea().url}/api/v1/repos/dev/files/releases/${draft!.id}/assets?name=${encodeURIComponent(name)}`;
      await fetch(url, { method: 'POST', body: form, headers: { authorization: `token ${gitea().token}` } });
    }
    await gitea().api(
      `repos/dev/files/releases/${draft!.id}/assets/${draft!.assets.find(({ name }) => name === 'empty')!.id}`,
      'DELETE',
    );
    const done = JSON.parse((await box.succeed([...args, '--json'], { env })).stdout);
    expect(done.forge.removed.sort()).toEqual(['a file.txt', 'empty']);
    const [release] = await releases('everybody');
    expect(release).toMatchObject({ name: 'By hand', draft: false, prerelease: false });
    expect(await downloads(release!)).toEqual({ 'a file.txt': sha256('one'), empty: sha256('') });
    await writeFile(box.path('work', 'a file.txt'), 'two');
    const refused = await box.carport(args, { env });
    expect(refused.exitCode).toBe(6);
    expect(refused.stderr).toContain(`\`a file.txt\` has the hash ${sha256('one')} and should have ${sha256('two')}`);
    expect(await downloads((await releases('everybody'))[0]!)).toMatchObject({ 'a file.txt': sha256('one') });
    await box.succeed([...args, '--amend', '--checksums'], { env });
    const sums = `${sha256('two')}  a file.txt\n${sha256('')}  empty\n`;
    expect(await downloads((await releases('everybody'))[0]!)).toEqual({
      'a file.txt': sha256('two'),
      empty: sha256(''),
      SHA256SUMS: sha256(sums),
    });
  });

  it('refuses a tag that is not there or elsewhere, a token that is wrong, a repository that is not there', async () => {
    const box = sandbox();
    const { address, commit, releases } = await gitea().repository('refused', ['v1.0.0']);
    await writeFile(box.path('work', 'tool'), 'tool');
    const { env, token } = gitea();
    const attempt = (
      version: string,
      to: string,
      more: readonly string[] = [],
      variables: Readonly<Record<string, string>> = env,
    ) =>
      box.carport(['release', 'forge-publish', version, '--to', 'gitea', to, '--files', 'tool', ...more], {
        env: variables,
      });
    expect((await attempt('v2.0.0', address)).stderr).toContain('--create-tag');
    const unknown = await attempt('v2.0.0', address, ['--create-tag', '--commit', 'a'.repeat(40)]);
    expect([unknown.exitCode, unknown.stderr]).toEqual([5, expect.stringContaining('has no commit `aaaa')]);
    expect((await attempt('v1.0.0', address, ['--commit', 'a'.repeat(40)])).exitCode).toBe(6);
    expect((await attempt('v1.0.0', address.replace('refused', 'nowhere'))).stderr).toContain(
      'does not have what was asked for',
    );
    const wrong = await attempt('v1.0.0', address, [], { GITEA_TOKEN: 'wrong-token-0123456789' });
    expect(wrong.exitCode).toBe(4);
    expect(wrong.stderr).not.toContain('wrong-token');
    expect((await attempt('v1.0.0', address, [], {})).exitCode).toBe(4);
    expect(await releases('dev')).toEqual([]);
    await writeFile(box.path('token'), `${token}\n`);
    const made = await attempt(
      'v2.0.0',
      address,
      ['--create-tag', '--commit', commit, '--token-file', box.path('token')],
      {},
    );
    expect(made.exitCode, made.stderr).toBe(0);
    expect(made.stdout + made.stderr).not.toContain(token);
    expect(await gitea().api('repos/dev/refused/tags/v2.0.0')).toMatchObject({ commit: { sha: commit } });
  });

  it('is killed at any time, and comes to the same; two at a time do, too', async () => {
    const box = sandbox();
    let names: readonly string[] = [];
    const contents = ['one', 'two', 'three', 'four'].map((name) => [name, Buffer.alloc(3_000_000, name)] as const);
    for (const [name, content] of contents) await writeFile(box.path('work', name), content);
    const wanted = Object.fromEntries(contents.map(([name, content]) => [name, sha256(content)]));
    const { env } = gitea();
    let made = await gitea().repository('killed-0', ['v1.0.0']);
    names = ['killed-0'];
    const args = () => ['release', 'forge-publish', 'v1.0.0', '--to', 'gitea', made.address, '--files', '*'];
    const all = { ...box, env: { ...box.env, ...env } };
    await killOften(all, args, killCount(3), async (wasKilled, at) => {
      const [published] = await made.releases('everybody');
      // What everybody sees is whole, whenever it is seen.
      if (published) expect(await downloads(published), at).toEqual(wanted);
      const [draft] = await made.releases('dev');
      const progress = published ? 'all' : draft ? 'a part' : 'nothing';
      if (!wasKilled) expect(published, at).toBeDefined();
      if (published) {
        names = [...names, `killed-${names.length}`];
        made = await gitea().repository(names.at(-1)!, ['v1.0.0']);
      }
      return progress;
    });
    const ran = await Promise.all([1, 2].map(() => box.carport(args(), { env })));
    expect(
      ran.some(({ exitCode }) => exitCode === 0),
      ran.map(({ stderr }) => stderr).join(),
    ).toBe(true);
    await box.succeed(args(), { env });
    const both = await made.releases('dev');
    expect(both).toHaveLength(1);
    expect(both[0]!.assets.map(({ name }) => name).sort()).toEqual(Object.keys(wanted).sort());
    expect(await downloads(both[0]!)).toEqual(wanted);
  });

  it('leaves what another run has published meanwhile as it is', async () => {
    const box = sandbox();
    const { address, commit, releases } = await gitea().repository('meanwhile', ['v1.0.0']);
    await writeFile(box.path('work', 'tool'), 'tool');
    const { signal } = new AbortController();
    const http = createHttpClient({ env: {}, signal });
    const limits = { patienceMs: 60_000, signal, onPause: () => undefined };
    const forge = openForge({ place: parsePlace(address, 'gitea'), http, token: gitea().token, limits });
    let looks = 0;
    const drafts: ReleaseText[] = [];
    const late: Forge = {
      ...forge,
      async assets(release) {
        const found = await forge.assets(release);
        // The other run does all of it after this one has looked.
        if (looks++ === 0) {
          const to = ['--to', `gitea:${address}`, '--files', 'tool'];
          await box.succeed(['release', 'forge-publish', 'v1.0.0', ...to], { env: gitea().env });
        }
        return found;
      },
      async edit(release, text) {
        if (text.isDraft && looks > 0) drafts.push(text);
        return forge.edit(release, text);
      },
    };
    const tool = { name: 'tool', size: 4, sha256: sha256('tool') };
    const asset = checkedContent(tool, () => Readable.from([Buffer.from('tool')]), 'tool');
    const wanted = {
      ...{ tag: 'v1.0.0', commit, createsTag: false, title: undefined, notes: undefined, usualNotes: '' },
      ...{ isPrerelease: false, isPrereleaseSaid: false, isLatest: undefined, assets: [asset] },
    };
    const choices = { dryRun: false, staysDraft: false, amends: false, keepsExtra: false };
    const request = { wanted, channelOf: () => 'stable' as const, ...choices };
    const done = await publishOnForge(late, request, { emit: () => undefined, signal });
    forge.close();
    expect([done.state, done.assets.map(({ state }) => state), drafts]).toEqual(['published', ['kept'], []]);
    expect(await releases('everybody')).toMatchObject([{ draft: false, assets: [{ name: 'tool' }] }]);
  });

  it('sends a large file in little memory', async () => {
    const box = sandbox();
    const { address, releases } = await gitea().repository('large', ['v1.0.0']);
    const size = 120_000_000;
    const file = await open(box.path('work', 'large'), 'w');
    await file.truncate(size);
    await file.close();
    // Not as a part of this process.
    const env = { ...gitea().env, NODE_OPTIONS: '--max-old-space-size=64' };
    await box.succeed(['release', 'forge-publish', 'v1.0.0', '--to', 'gitea', address, '--files', 'large'], { env });
    expect(await releases('everybody')).toMatchObject([{ draft: false, assets: [{ name: 'large', size }] }]);
  });
});
