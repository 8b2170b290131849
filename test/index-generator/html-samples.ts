import type { Channel, Release, ReleaseFile, ReleaseIndex, ReleaseTarget } from '#index-generator/model.js';

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
    time: '2026-03-04T05:06:07Z',
    targets: targets.map((target) => targetOf(version, target)),
    missingTargets: [],
    ...more,
  };
}

/** The file that Garage's own script would write. */
export function targetOf(version: string, target: string, more: Partial<ReleaseFile> = {}): ReleaseTarget {
  const name = more.name ?? 'garage';
  const key = `_releases/${version}/${target}/${name}`;
  return { target, files: [{ name, key, size: 22_334_455, time: '2026-03-04T05:06:07Z', sha256: SHA256, ...more }] };
}

/** An index of these releases. */
export function indexOf(...releases: readonly Release[]): ReleaseIndex {
  const of = (channel: Channel) => releases.filter((release) => release.channel === channel);
  return { releases: { stable: of('stable'), extra: of('extra'), development: of('development') } };
}

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

/** All that a page can show. */
export function fullIndex(): ReleaseIndex {
  const [, ...withoutArm64] = TARGETS;
  return indexOf(
    releaseOf('v2.1.0', 'stable', TARGETS, { yanked: { reason: 'Loses data: <b>see</b> #12 & "others"' } }),
    releaseOf('v2.0.0', 'stable', [...withoutArm64, 'riscv64gc-unknown-linux-gnu'], {
      missingTargets: ['aarch64-unknown-linux-musl'],
      commit: COMMIT,
    }),
    releaseOf('v1.0.0', 'stable', TARGETS),
    ...HOSTILE_NAMES.map((name) => {
      const target = targetOf(name, name, { name });
      return releaseOf(name, 'extra', [], { targets: [target], missingTargets: [name], yanked: { reason: name } });
    }),
    releaseOf(COMMIT, 'development', TARGETS),
  );
}
