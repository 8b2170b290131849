import { describe, expect, it } from 'vitest';
import { notesOf } from '#release/notes.js';

const CHANGELOG = `# Changelog

Text before.

## [Unreleased]

- next

## [1.2.0] - 2026-11-01

### Added

- a thing, see [the guide]

\`\`\`
## 9.9.9
\`\`\`

## v1.1.0 (2026-10-01)

- old

1.0.0
-----

- oldest

[the guide]: https://example.org/guide
[1.2.0]: https://example.org/1.2.0
`;

const of = (version: string, text = CHANGELOG) => notesOf(version, text, '`CHANGELOG.md`').notes;

describe('Notes of a version', () => {
  const ADDED =
    '### Added\n\n- a thing, see [the guide]\n\n```\n## 9.9.9\n```\n\n[the guide]: https://example.org/guide';

  it('are its section of a changelog, with the addresses of its links', () => {
    expect(of('v1.2.0')).toBe(ADDED);
    expect(of('1.1.0')).toBe('- old');
    expect(of('v1.0.0')).toBe('- oldest');
    expect(of('cli@v1.1.0')).toBe('- old');
  });

  it('are those of the release for a candidate, and else what is not released', () => {
    expect(of('v1.2.0-rc1')).toBe(ADDED);
    expect(of('v1.3.0')).toBe('- next');
    expect(of('89abcdef01'.repeat(4))).toBe('- next');
    expect(of('v1.2.0-rc1', '## 1.2.0-rc1\n\na\n\n## 1.2.0\n\nb')).toBe('a');
  });

  it('are none where a changelog says nothing of it', () => {
    expect(notesOf('v2.0.0', '## 1.0.0\n\na', 'X').why).toBe('X has no section of `v2.0.0`');
    expect(notesOf('v1.0.0', '## 1.0.0\n\n## 0.9.0\n\na', 'X').why).toBe('X says nothing of `v1.0.0`');
    expect(notesOf('v1.0.0', ' \n', 'X').why).toBe('X says nothing of `v1.0.0`');
    expect(of('v1.2', '## 1.2.0\n\na\n\n## 1.20\n\nb')).toBeUndefined();
  });

  it('are the whole of a text that is no changelog', () => {
    expect(of('v1.0.0', '\u{feff}# News\r\n\r\n- a\r- b\n')).toBe('# News\n\n- a\n- b');
    expect(of('v1.0.0', '# tool v1.0.0\n\nIts text.\n\n## More\n\nb')).toBe('Its text.\n\n## More\n\nb');
  });

  it('are found soon, whatever headings look like', () => {
    for (const title of ['[', ' #', '# ', 'a ', '1', '_', '.1'].map((part) => part.repeat(100_000))) {
      expect(of('v1.0.0', `## ${title}x\n\na\n\n## 1.0.0 ##\n\nb`)).toBe('b');
    }
    expect(of('v1.0.0', `## 1.0.0\n\nb\n${'# 2.0\n'.repeat(100_000)}`)).toBe('b');
  });

  it('have no secrets, and an end', () => {
    expect(() => of('v1.0.0', 'a'.repeat(65_537))).toThrow('have 65,537 characters');
    const key = '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----';
    expect(() => of('v1.0.0', key)).toThrow('have a secret key');
  });
});
