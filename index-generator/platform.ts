/** Names and order of platforms. */

/** The name that people know a platform by: `linux/arm64`. Other triples stand for themselves. */
export function platformName(target: string): string {
  const [machine = '', ...rest] = target.split('-');
  const known = LINUX.get(machine);
  return known !== undefined && rest.includes('linux') ? `linux/${known}` : target;
}

/** Puts the platforms that most people look for first. */
export function comparePlatforms(one: string, other: string): number {
  return rank(one) - rank(other) || (one < other ? -1 : Number(one > other));
}

const LINUX: ReadonlyMap<string, string> = new Map([
  ['x86_64', 'amd64'],
  ['aarch64', 'arm64'],
  ['armv6l', 'arm'],
  ['i686', '386'],
]);

const ORDER = [...LINUX.values()].map((name) => `linux/${name}`);

function rank(target: string): number {
  const place = ORDER.indexOf(platformName(target));
  return place < 0 ? ORDER.length : place;
}
