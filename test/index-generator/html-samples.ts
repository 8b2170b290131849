import type { Release, ReleaseFile, ReleaseIndex, ReleaseTarget } from '#release/catalog/model.js';
import type { Channel } from '#release/version.js';

/** A release with one file for each target. */
export function releaseOf(
  version: string,
  channel: Channel,
  targets: readonly string[],
  more: Partial<Release> = {},
): Release {
  return {
    version,
    channel,
    time: TIME,
    changed: more.time ?? TIME,
    signed: TIME,
    targets: targets.map((target) => targetOf(version, target)),
    missingTargets: [],
    ...more,
  };
}

/** The same as nobody has signed it. */
export function unsigned({ signed: _, ...release }: Release): Release {
  return release;
}

/** The file that Garage's own script would write. */
export function targetOf(version: string, target: string, more: Partial<ReleaseFile> = {}): ReleaseTarget {
  const name = more.name ?? 'garage';
  const key = `_releases/${version}/${target}/${name}`;
  return { target, files: [{ name, key, size: 22_334_455, time: TIME, sha256: SHA256, ...more }] };
}

/** An index of these releases. */
export function indexOf(...releases: readonly Release[]): ReleaseIndex {
  const of = (channel: Channel) => releases.filter((release) => release.channel === channel);
  return { releases: { stable: of('stable'), extra: of('extra'), development: of('development') } };
}

const TIME = '2026-03-04T05:06:07Z';
export const SHA256 = '0123456789abcdef'.repeat(4);
export const COMMIT = '89abcdef01'.repeat(4);

/** What Garage builds for. */
export const TARGETS = [
  'aarch64-unknown-linux-musl',
  'armv6l-unknown-linux-musleabihf',
  'i686-unknown-linux-musl',
  'x86_64-unknown-linux-musl',
] as const;

/** Names that want to be more than names. */
export const HOSTILE_NAMES = [
  '<script>window.attacked = true</script>',
  '"><img src=x onerror="window.attacked = true">',
  "' onmouseover='window.attacked = true",
  '</style></script></title><svg onload=alert(1)>',
  '\u{202e}0.0.1v \u{2066}\u{200f}',
  'a  version   of ~ spaces & 100%25 ? # ; + $(touch x) `touch y` \\',
  'é\u{301}\u{1f600}',
  'javascript:alert(1)',
  'x'.repeat(900),
  `&lt;b&gt;`,
];

/** Addresses that want to be more than addresses. */
const HOSTILE_URLS = [
  ...['javascript:alert(1)', 'data:text/html,<script>window.attacked = true</script>', 'vbscript:x', ' javascript:1'],
  ...['"><script>window.attacked = true</script>', 'https://user:secret@x.example/', 'file:///etc/passwd'],
  'https://x.example/"><img src=x onerror="window.attacked = true">',
];

/** Platforms that a button is for. */
export const SYSTEMS = [
  'x86_64-unknown-linux-musl',
  'x86_64-unknown-linux-gnu',
  'aarch64-unknown-linux-musl',
  'x86_64-apple-darwin',
  'aarch64-apple-darwin',
  'x86_64-pc-windows-msvc',
];

/** All that notes may have. */
export const NOTES = `### Added

- \`tool sync\` says **what** it *has* ~~not~~ copied, see [the guide](https://example.org/guide?a=1#b)
- A [bad link](javascript:alert(1)), a [good one][1], https://example.org/bare and <https://example.org/auto>
- ![a picture](https://example.org/a.png) and [![](https://example.org/b.png)](https://example.org/c)

##### Deeper

> A quotation with <b onclick="window.attacked = true">raw HTML</b> &amp; <script>window.attacked = true</script>

<img src=x onerror="window.attacked = true">

1. one
2. two
   * nested

| a | b |
| --- | :-: |
| 1 | 2 |

\`\`\`sh
make <all>
\`\`\`

---

[1]: https://example.org/reference
`;

/** All that a page can show. */
export function fullIndex(): ReleaseIndex {
  const [, ...withoutArm64] = TARGETS;
  return indexOf(
    releaseOf('v2.1.0', 'stable', TARGETS, {
      yanked: { reason: 'Loses data: <b>see</b> #12 & "others"', time: TIME },
    }),
    releaseOf('v2.0.0', 'stable', [...withoutArm64, 'riscv64gc-unknown-linux-gnu'], {
      missingTargets: ['aarch64-unknown-linux-musl'],
      commit: COMMIT,
      ci: { system: 'drone', event: 'tag', runUrl: 'https://ci.example.org/1' },
      promotedFrom: { version: 'v2.0.0-rc1', gates: [{ gate: 'minimum-age', detail: '3 days old' }] },
      notes: NOTES,
    }),
    releaseOf('v1.0.0', 'stable', TARGETS, { incomplete: true, notes: NOTES }),
    ...HOSTILE_NAMES.map((name, index) =>
      releaseOf(name, 'extra', [], {
        ...{ targets: [targetOf(name, name, { name, storePath: name })], missingTargets: [name] },
        yanked: { reason: name, time: TIME },
        notes: name,
        commit: name,
        ci: { system: name, event: name, runUrl: HOSTILE_URLS[index % HOSTILE_URLS.length]! },
        promotedFrom: {
          version: name,
          gates: [
            { gate: name, detail: name },
            { gate: 'hashes', detail: name },
          ],
        },
      }),
    ),
    unsigned(releaseOf(COMMIT, 'development', TARGETS)),
  );
}
