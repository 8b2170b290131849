/** Names and order of platforms. */

/** What a triple says, in words that people know. */
export interface Platform {
  /** What scripts of the page know it by; `other` for all that is none of these. */
  readonly system: 'linux' | 'macos' | 'windows' | 'other';
  /** For people: `Linux x86-64`. Of a system that is not known it is the triple itself. */
  readonly label: string;
}

/** The name that programs and Garage's users know a platform by: `linux/arm64`. Other triples stand for themselves. */
export function platformName(target: string): string {
  const [machine = '', ...rest] = target.split('-');
  const known = LINUX.get(machine);
  return known !== undefined && rest.includes('linux') ? `linux/${known}` : target;
}

/** What people call a platform. */
export function platformOf(target: string): Platform {
  const machine = machineOf(target);
  const system = SYSTEMS.find(({ pattern }) => pattern.test(target));
  if (system === undefined) return { system: 'other', label: target };
  const name = MACHINES.find(({ pattern }) => pattern.test(machine))?.name ?? (machine === '' ? undefined : machine);
  return { system: system.system, label: name === undefined ? system.name : `${system.name} ${name}` };
}

/** Puts the platforms that most people look for first. */
export function comparePlatforms(one: string, other: string): number {
  // What is linked statically runs on all of them.
  const isStatic = (target: string) => target.includes('musl');
  return (
    rank(one) - rank(other) ||
    Number(isStatic(other)) - Number(isStatic(one)) ||
    (one < other ? -1 : Number(one > other))
  );
}

const LINUX: ReadonlyMap<string, string> = new Map([
  ['x86_64', 'amd64'],
  ['aarch64', 'arm64'],
  ['armv6l', 'arm'],
  ['i686', '386'],
]);

/** A part of a triple, or of what others write in its place: `linux-amd64`, `darwin_arm64`. */
const SYSTEMS = [
  { system: 'linux', name: 'Linux', pattern: /(^|[-_/])linux/i },
  { system: 'macos', name: 'macOS', pattern: /(^|[-_/])(darwin|macosx?|osx|apple)/i },
  { system: 'windows', name: 'Windows', pattern: /(^|[-_/])(windows|win32|win64|mingw|msvc)/i },
] as const;

const MACHINES = [
  { name: 'x86-64', pattern: /^(x86_64|amd64|x64)/i },
  { name: 'arm64', pattern: /^(aarch64|arm64)$/i },
  { name: 'armv7', pattern: /^armv7/i },
  { name: 'armv6', pattern: /^(armv6|arm$)/i },
  { name: 'x86 (32 bits)', pattern: /^(i[3-6]86|386|x86$)/i },
  { name: 'universal', pattern: /^(universal|universal2)$/i },
] as const;

/** The first part that is a machine's name; of a triple, its first part. */
function machineOf(target: string): string {
  const parts = target.split(/[-/]|_(?!64)/);
  const known = parts.find((part) => MACHINES.some(({ pattern }) => pattern.test(part)));
  if (known !== undefined) return known;
  const [first = ''] = parts;
  return SYSTEMS.some(({ pattern }) => pattern.test(first)) ? '' : first;
}

/** First Linux with the machines that Garage builds for, then the others of each system. */
function rank(target: string): number {
  const { system, label } = platformOf(target);
  const place = SYSTEMS.findIndex((each) => each.system === system);
  if (place < 0) return SYSTEMS.length * 100;
  const order = system === 'macos' ? MAC_ORDER : MACHINE_ORDER;
  const machine = order.findIndex((name) => label.endsWith(` ${name}`));
  return place * 100 + (machine < 0 ? 99 : machine);
}

const MACHINE_ORDER = ['x86-64', 'arm64', 'armv7', 'armv6', 'x86 (32 bits)'];
const MAC_ORDER = ['universal', 'arm64', 'x86-64'];
