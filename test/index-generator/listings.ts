/** Listings as `aws s3 ls --recursive` prints them. */

export const TARGETS = [
  'aarch64-unknown-linux-musl',
  'armv6l-unknown-linux-musleabihf',
  'i686-unknown-linux-musl',
  'x86_64-unknown-linux-musl',
];

/** Tags as a project of some years has them: what Garage's own generator takes for stable, and what it does not. */
export const STABLE_BY_GARAGE = [
  ...['v0.1.0', 'v0.1.1', 'v0.2.0', 'v0.2.1', 'v0.2.1.5', 'v0.3.0', 'v0.3.0.1', 'v0.4.0', 'v0.5.0', 'v0.5.1', 'v0.6.0'],
  ...['v0.6.1', 'v0.7.0', 'v0.7.1', 'v0.7.2', 'v0.7.2.1', 'v0.7.3', 'v0.8.0', 'v0.8.1', 'v0.8.2', 'v0.8.4', 'v0.9.0'],
  ...['v0.10.0', 'v1.0.0', 'v1.0.1', 'v1.1.0', 'v2.0.0', 'v0.7.2_2', 'v0.8.0-1', 'v0.7.2+1', 'v10203', 'v0-8_4'],
];
export const EXTRA_BY_GARAGE = [
  ...[
    'v0.8.0-dangerous-no-fsync',
    'v0.7.2+ci-test-version',
    'v0.7.2_ci-test-2',
    'v1.99.0-internal',
    '0.4-alpha',
    '0.3',
  ],
  ...[
    'format_table-v0.1.0',
    'v0.5-beta1',
    'v0.8.0-rc1',
    'v0.8.0-rc2',
    'v0.8.0-beta1',
    'v0.7.0-k2v',
    'v1.0.0-rc10',
    'v1.0.0-rc2',
  ],
  ...['handcrafted-1.0.0', 'v1', 'v1.2.3.4.5', 'v', 'V1.2.3', 'v1.2.3é4', 'v1é2.3', 'v1.2.3\u{1f600}', 'v12', 'v1.2.'],
];

export interface ListedObject {
  readonly key: string;
  readonly date?: string;
  readonly time?: string;
  readonly size?: string;
}

/** One line, laid out as the AWS command line does. */
export function listed({ key, date = '2023-01-02', time = '03:04:05', size = '19000000' }: ListedObject): string {
  return `${date} ${time} ${size.padStart(10)} ${key}\n`;
}

/** A release for all targets; `day` moves its time. */
export function listedRelease(version: string, day = 1, targets: readonly string[] = TARGETS): string {
  const date = new Date(Date.UTC(2021, 0, day)).toISOString().slice(0, 10);
  return targets
    .map((target, index) => listed({ key: `_releases/${version}/${target}/garage`, date, time: `10:00:0${index}` }))
    .join('');
}

/** The versions of some years and a commit each week, as a bucket lists them: in the order of their keys. */
export function listingOfYears(commits = 60): string {
  const hashes = Array.from({ length: commits }, (_, index) =>
    (index * 2654435761 + 7).toString(16).padStart(40, 'a9f0'),
  );
  const versions = [...STABLE_BY_GARAGE, ...EXTRA_BY_GARAGE, ...hashes];
  const days = new Map(versions.map((version, index) => [version, ((index * 37) % 900) + 1]));
  return [...versions]
    .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    .map((version) => listedRelease(version, days.get(version)))
    .join('');
}
