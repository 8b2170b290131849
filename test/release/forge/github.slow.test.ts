import { writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { bytesOf, COMMIT, type Github, useGithub } from '../../support/github.js';
import { type Sandbox, useSandbox } from '../../support/sandbox.js';

/** GitHub is a server of this test: see `test/support/github.ts`. */
describe('GitHub', () => {
  const sandbox = useSandbox();
  const start = useGithub();

  const argsFor = ({ address }: Github, ...more: readonly string[]) => [
    ...['release', 'forge-publish', 'v1.0.0', '--to', 'github', address, '--files', '*', '--commit', COMMIT, ...more],
  ];
  async function prepare(): Promise<{ box: Sandbox; github: Github }> {
    const [box, github] = [sandbox(), await start()];
    await writeFile(box.path('work', 'a file.txt'), 'one');
    await writeFile(box.path('work', 'tool'), 'two');
    return { box, github };
  }
  const contents = ({ releases }: Github) =>
    releases.map(({ assets }) =>
      Object.fromEntries(assets.map(({ name, state, content }) => [name, `${state} ${content}`])),
    );
  const RIGHT = { 'a.file.txt': 'uploaded one', tool: 'uploaded two' };

  it('publishes once, as the latest; contents come from elsewhere, without the token', async () => {
    const { box, github } = await prepare();
    const { stdout, stderr } = await box.succeed(argsFor(github, '--json'), { env: github.env });
    expect(JSON.parse(stdout)).toMatchObject({
      result: 'done',
      forge: {
        state: 'published',
        latest: true,
        assets: [{ name: 'a file.txt', storedName: 'a.file.txt', state: 'sent' }, { name: 'tool' }],
      },
    });
    expect(stdout + stderr).not.toContain(github.token);
    expect(contents(github)).toEqual([RIGHT]);
    expect(github.releases).toMatchObject([{ name: 'v1.0.0', body: '', draft: false }]);
    const labels = github.releases[0]!.assets.map(({ name, label }) => [name, label]);
    expect(Object.fromEntries(labels)).toEqual({ 'a.file.txt': 'a file.txt', tool: null });
    expect(github.latest()).toBe('v1.0.0');
    expect(github.elsewhere).toEqual([undefined, undefined]);
    const count = github.requests.filter((request) => !request.startsWith('GET')).length;
    expect(JSON.parse((await box.succeed(argsFor(github, '--json'), { env: github.env })).stdout)).toMatchObject({
      result: 'skipped',
    });
    expect(github.requests.filter((request) => !request.startsWith('GET'))).toHaveLength(count);
    const said = ['--title', 'Other', '--prerelease'];
    const different = await box.carport(argsFor(github, ...said), { env: github.env });
    expect([different.exitCode, different.stderr]).toEqual([6, expect.stringContaining('should be `Other`')]);
    expect(different.stderr).toContain('it is no prerelease');
    await box.succeed(argsFor(github, ...said, '--amend'), { env: github.env });
    expect(github.releases).toMatchObject([{ name: 'Other', prerelease: true }]);
    await box.succeed(argsFor(github, '--no-prerelease', '--latest', '--amend'), { env: github.env });
    expect(github.releases).toMatchObject([{ name: 'Other', prerelease: false }]);
    await writeFile(box.path('work', 'tool'), 'other');
    const refused = await box.carport(argsFor(github), { env: github.env });
    expect([refused.exitCode, refused.stderr]).toEqual([
      6,
      expect.stringContaining('`tool` has 3 bytes and should have 5'),
    ]);
    github.tags.set('v0.9.0', COMMIT);
    await box.succeed(
      argsFor(github).map((word) => (word === 'v1.0.0' ? 'v0.9.0' : word)),
      { env: github.env },
    );
    expect(github.latest()).toBe('v1.0.0');
  });

  it('makes a tag at a commit that is there, and says before it sends anything that another is not', async () => {
    const { box, github } = await prepare();
    github.tags.clear();
    const unknown = 'd'.repeat(40);
    const refused = await box.carport(
      argsFor(github, '--create-tag').map((word) => (word === COMMIT ? unknown : word)),
      { env: github.env },
    );
    expect([refused.exitCode, refused.stderr]).toEqual([5, expect.stringContaining(`has no commit \`${unknown}\``)]);
    expect(github.requests.filter((request) => !request.startsWith('GET'))).toEqual([]);
    await box.succeed(argsFor(github, '--create-tag'), { env: github.env });
    expect(github.tags).toEqual(new Map([['v1.0.0', COMMIT]]));
  });

  it('goes on with a draft among many, keeps what somebody has written, and takes away its own twin and what has broken off', async () => {
    const { box, github } = await prepare();
    for (let number = 0; number < 40; number++) {
      github.releases.push({
        id: number,
        tag_name: `v0.${number}.0`,
        name: '',
        body: '',
        draft: number % 2 === 0,
        prerelease: false,
        assets: [],
      });
    }
    await box.succeed(argsFor(github, '--draft', '--title', 'By hand'), { env: github.env });
    const draft = github.releases.at(-1)!;
    draft.body = `What is new\n\n${draft.body}`;
    Object.assign(draft.assets[0]!, { state: 'starter', size: 0, digest: null, content: Buffer.alloc(0) });
    const twin = { ...draft, id: 9001, assets: [] };
    const other = { ...draft, id: 9002, body: 'of somebody', assets: [] };
    github.releases.push(twin, other);
    await box.succeed(argsFor(github, '--prerelease'), { env: github.env });
    expect(github.releases.filter(({ tag_name }) => tag_name === 'v1.0.0')).toEqual([draft, other]);
    expect(draft).toMatchObject({ name: 'By hand', body: 'What is new', draft: false, prerelease: true });
    expect(contents(github)[40]).toEqual(RIGHT);
    expect(github.latest()).toBeUndefined();
  });

  it('looks before it makes something again of which the answer was lost, and is patient with a server that fails', async () => {
    const { box, github } = await prepare();
    const failed = new Set<string>();
    github.fault = async (request, response, done) => {
      const what = `${request.method} ${request.url!.replace(/\d+/g, '').replace(/\?.*/, '')}`;
      if (request.method === 'GET' || failed.has(what)) return false;
      failed.add(what);
      if (request.url!.includes('name=tool')) {
        // It breaks off within the file.
        request.destroy();
        return false;
      }
      // It is done, and nobody hears of it.
      response.writeHead = () => response;
      response.end = () => response.destroy();
      await done();
      return true;
    };
    await box.succeed(argsFor(github), { env: github.env });
    expect(failed.size).toBeGreaterThanOrEqual(3);
    expect(contents(github)).toEqual([RIGHT]);
    expect(github.releases).toMatchObject([{ draft: false }]);
  });

  it('waits where it is asked for fewer requests, and says so; not for hours', async () => {
    const { box, github } = await prepare();
    const limits = [
      { status: 403, headers: { 'retry-after': '1' } },
      { status: 429, headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1' } },
    ];
    github.fault = async (request, response) => {
      const limit = request.method === 'POST' ? limits.pop() : undefined;
      if (limit === undefined) return false;
      await bytesOf(request);
      response.writeHead(limit.status, limit.headers).end('{"message":"You have exceeded a secondary rate limit"}');
      return true;
    };
    const { stderr } = await box.succeed(argsFor(github), { env: github.env });
    expect(stderr.match(/asks for fewer requests/g)).toHaveLength(2);
    expect(contents(github)).toEqual([RIGHT]);
    limits.push({ status: 403, headers: { 'retry-after': '3600' } });
    github.releases.pop();
    const refused = await box.carport(argsFor(github), { env: github.env });
    expect([refused.exitCode, refused.stderr]).toEqual([
      75,
      expect.stringContaining('takes no more requests for 60 min'),
    ]);
  });

  it('is not led elsewhere, and believes neither hashes nor sizes of answers', async () => {
    const { box, github } = await prepare();
    const attempt = async () => {
      const { exitCode, stdout, stderr } = await box.carport(argsFor(github), { env: github.env });
      expect(stdout + stderr).not.toContain(github.token);
      expect(github.releases.every(({ draft }) => draft)).toBe(true);
      return { exitCode, stderr };
    };
    const { uploads } = github;
    for (const elsewhere of ['http://uploads.evil.example', 'file:///tmp', 'http://localhost:1']) {
      github.uploads = elsewhere;
      expect(await attempt()).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('which is not the forge') });
    }
    github.uploads = uploads;
    // What is told of it is right, and its bytes are others.
    github.fault = async (request, _, done) => {
      if (!request.url!.includes('name=tool')) return false;
      await done();
      github.releases[0]!.assets.find(({ name }) => name === 'tool')!.content = Buffer.from('???');
      return true;
    };
    expect(await attempt()).toMatchObject({ exitCode: 6, stderr: expect.stringContaining('again and again') });
    for (const [answer, said] of [
      [`[${'0,'.repeat(9_000_000)}`, 'larger than 16 MiB'],
      ['<html>', 'is not JSON'],
      ['{}', 'assets'],
    ] as const) {
      github.fault = async (request, response) => {
        if (!request.url!.includes('/assets?')) return false;
        response.end(answer);
        return true;
      };
      expect((await attempt()).stderr).toContain(said);
    }
    github.fault = async (request, response) => {
      if (!request.url!.includes('/tags/')) return false;
      response.writeHead(301, { location: github.storage }).end();
      return true;
    };
    const before = github.elsewhere.length;
    expect((await attempt()).exitCode).not.toBe(0);
    expect(github.elsewhere.slice(before)).toEqual([undefined]);
  });

  it('comes to one release where two do it at a time', async () => {
    const { box, github } = await prepare();
    const ran = await Promise.all([1, 2].map(() => box.carport(argsFor(github), { env: github.env })));
    expect(
      ran.some(({ exitCode }) => exitCode === 0),
      ran.map(({ stderr }) => stderr).join(),
    ).toBe(true);
    await box.succeed(argsFor(github), { env: github.env });
    expect(contents(github)).toEqual([RIGHT]);
  });
});
