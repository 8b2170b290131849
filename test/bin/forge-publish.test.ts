import { describe, expect, it } from 'vitest';
import type { ForgeOptions } from '#bin/release/forge/command.js';
import { tokenFor } from '#bin/release/forge/token.js';
import { placeOf } from '#bin/release/forge/where.js';
import { fakeContext } from '../support/context.js';

const options = (to: string, files?: readonly string[]) => ({ to, files, plainHttp: false }) as unknown as ForgeOptions;

describe('where a release is published', () => {
  it('is said in any of its spellings; what a shell makes of `--files *` are files', () => {
    const at = 'https://git.acme.org/o/r';
    for (const [to, words, env, address, files] of [
      ['gitea', [at], {}, at, undefined],
      [`gitea:${at}`, [], {}, at, undefined],
      ['https://github.com/o/r', [], {}, 'https://github.com/o/r', undefined],
      ['github:o/r', [], {}, 'https://github.com/o/r', undefined],
      ['gitea', ['b', at, 'c'], {}, at, ['a', 'b', 'c']],
      ['forgejo', [], { GITHUB_SERVER_URL: 'https://git.acme.org', GITHUB_REPOSITORY: 'o/r' }, at, undefined],
      ['gitea', [], { CI_REPO_URL: at }, at, undefined],
    ] as const) {
      const found = placeOf(words, options(to, files && ['a']), env);
      expect([found.place.address, found.files], to).toEqual([address, files]);
    }
    expect(() => placeOf([], options('gitea'), {})).toThrow('which repository');
    const job = { GITHUB_SERVER_URL: 'https://git.acme.org', GITHUB_REPOSITORY: 'o/r', GITHUB_ACTIONS: 'true' };
    expect(() => placeOf([], options('gitea'), job)).toThrow('a job of the kind github');
    expect(() => placeOf([], options('github'), { ...job, GITEA_ACTIONS: 'true' })).toThrow('a job of the kind gitea');
    expect(placeOf([], options('forgejo'), { ...job, GITEA_ACTIONS: 'true' }).place.kind).toBe('forgejo');
    expect(() => placeOf(['https://github.com/o/r'], options('gitea'), {})).toThrow('is of the kind github');
    expect(() => placeOf(['https://codeberg.org/o/r'], options('github'), {})).toThrow('is of the kind forgejo');
    expect(() => placeOf([at], options(at), {})).toThrow('two repositories');
    expect(() => placeOf(['b', at], options('gitea'), {})).toThrow('`b` is no address');
  });

  it('is told the token that is meant for it, and no other', async () => {
    const all = { GITHUB_TOKEN: 'of-github', GITEA_TOKEN: 'of-gitea', GH_ENTERPRISE_TOKEN: 'of-enterprise' };
    const job = { GITHUB_SERVER_URL: 'https://git.acme.org', GITHUB_TOKEN: 'of-the-job' };
    for (const [to, env, token] of [
      ['https://github.com/o/r', all, 'of-github'],
      ['github:https://git.acme.org/o/r', all, 'of-enterprise'],
      ['gitea:https://git.acme.org/o/r', all, 'of-gitea'],
      ['gitea:https://git.acme.org/o/r', { ...all, CARPORT_FORGE_TOKEN: 'mine' }, 'mine'],
      ['forgejo:https://git.acme.org/o/r', { FORGEJO_TOKEN: 'of-forgejo', ...all }, 'of-forgejo'],
      ['gitea:https://git.acme.org/o/r', { GITHUB_TOKEN: 'of-github' }, undefined],
      ['gitea:https://git.acme.org/o/r', job, 'of-the-job'],
      ['gitea:https://other.acme.org/o/r', job, undefined],
      ['github:https://git.acme.org/o/r', job, 'of-the-job'],
      ['github:https://git.acme.org/o/r', { GITHUB_TOKEN: 'of-github', GH_TOKEN: 'of-github' }, undefined],
      ['https://github.evil.example/o/r', { GITHUB_TOKEN: 'of-github', GH_TOKEN: 'of-github' }, undefined],
      ['https://github.com/o/r', job, undefined],
      ['https://github.com/o/r', { ...job, GH_TOKEN: 'of-the-job' }, undefined],
      ['https://github.com/o/r', { ...job, GH_TOKEN: 'mine' }, 'mine'],
      ['gitea:https://other.acme.org/o/r', { ...job, GITEA_TOKEN: 'of-the-job' }, undefined],
      ['github:http://127.0.0.1:3000/o/r', { GITHUB_TOKEN: 'mine' }, 'mine'],
      ['github:http://127.0.0.1:3000/o/r', job, undefined],
    ] as const) {
      const { place } = placeOf([], options(to), {});
      expect(await tokenFor(place, undefined, fakeContext(env)), to).toBe(token);
    }
    const { place } = placeOf([], options('github:o/r'), {});
    await expect(tokenFor(place, undefined, fakeContext({ GITHUB_TOKEN: 'two words' }))).rejects.toThrow(
      'GITHUB_TOKEN',
    );
    await expect(tokenFor(place, '/nowhere', fakeContext({}))).rejects.toMatchObject({ code: 'E_CREDENTIALS' });
  });
});
