import { describe, expect, it } from 'vitest';
import { parsePlace, splitForge } from '#lib/forge/place.js';

describe('the place of a forge', () => {
  it('is found by its address, in the spellings that people use', () => {
    for (const [text, kind, address, api] of [
      ['https://github.com/o/r', 'github', 'https://github.com/o/r', 'https://api.github.com/'],
      ['https://github.com/o/r.git/', 'github', 'https://github.com/o/r', 'https://api.github.com/'],
      ['git@github.com:o/r.git', 'github', 'https://github.com/o/r', 'https://api.github.com/'],
      ['https://acme.ghe.com/o/r', 'github', 'https://acme.ghe.com/o/r', 'https://api.acme.ghe.com/'],
      ['github:https://git.acme.org/o/r', 'github', 'https://git.acme.org/o/r', 'https://git.acme.org/api/v3/'],
      ['https://codeberg.org/o/r', 'forgejo', 'https://codeberg.org/o/r', 'https://codeberg.org/api/v1/'],
      ['https://gitea.acme.org/o/r', 'gitea', 'https://gitea.acme.org/o/r', 'https://gitea.acme.org/api/v1/'],
      [
        'gitea:http://127.0.0.1:3000/git/o/r',
        'gitea',
        'http://127.0.0.1:3000/git/o/r',
        'http://127.0.0.1:3000/git/api/v1/',
      ],
    ] as const) {
      const { kind: given, address: named } = splitForge(text);
      const place = parsePlace(named!, given);
      expect([place.kind, place.address, place.api.href], text).toEqual([kind, address, api]);
    }
    expect(splitForge('gitea')).toEqual({ kind: 'gitea' });
  });

  it('trusts its own hosts alone', () => {
    expect(parsePlace('https://github.com/o/r', undefined).trusted).toEqual([
      ...['https://api.github.com', 'https://uploads.github.com'],
    ]);
    expect(parsePlace('https://git.acme.org/o/r', 'github').trusted).toEqual([
      'https://git.acme.org',
      'https://uploads.git.acme.org',
    ]);
    expect(parsePlace('https://git.acme.org/o/r', 'gitea').trusted).toEqual(['https://git.acme.org']);
  });

  it('is refused where it is none, or would be told a token without TLS', () => {
    for (const [text, why] of [
      ['http://git.acme.org/o/r', 'without TLS'],
      ['https://git.acme.org/r', 'owner and the name'],
      ['https://git.acme.org/o/..', 'owner and the name'],
      ['https://git.acme.org/o/r?x=1', 'more than a path'],
      ['https://user:secret@git.acme.org/o/r', 'a password'],
      ['file:///srv/o/r', 'no web address'],
      ['o/r', 'no web address'],
    ] as const) {
      expect(() => parsePlace(text, 'gitea'), text).toThrow(why);
    }
    expect(() => parsePlace('https://git.acme.org/o/r', undefined)).toThrow('what kind of forge');
    expect(parsePlace('http://git.acme.org/o/r', 'gitea', { plainHttp: true }).api.protocol).toBe('http:');
    expect(() => parsePlace('https://github.com/o/r', undefined, { api: 'http://evil.example/' })).toThrow(
      'without TLS',
    );
  });
});
