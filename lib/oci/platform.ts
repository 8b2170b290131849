/** Platforms of images: `linux/arm/v6`. */

import { CarportError } from '../errors.js';

/** As configs and indexes have it (image-spec 1.1); words are Go's. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
}

/** Other words for architectures, as people and other tools have them. */
const ARCHITECTURES: Readonly<Record<string, Pick<Platform, 'architecture' | 'variant'>>> = {
  x86_64: { architecture: 'amd64' },
  'x86-64': { architecture: 'amd64' },
  i386: { architecture: '386' },
  i686: { architecture: '386' },
  aarch64: { architecture: 'arm64' },
  armhf: { architecture: 'arm', variant: 'v7' },
  armel: { architecture: 'arm', variant: 'v6' },
  armv5l: { architecture: 'arm', variant: 'v5' },
  armv6l: { architecture: 'arm', variant: 'v6' },
  armv7l: { architecture: 'arm', variant: 'v7' },
};

/** Node's words for the machine that it runs on. */
const OF_NODE: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };

/** Variants that are the same as none, and are left out so that one platform has one name (containerd does that). */
const USUAL: Readonly<Record<string, string>> = { arm64: 'v8', amd64: 'v1' };

/**
 * The platform that a text names: `linux/arm/v6`, or in the words of others, `linux/aarch64`. Throws `E_USAGE` for what is none,
 * and for 32-bit ARM without a variant: whoever reads that takes it for v7, also where it runs on v6.
 */
export function parsePlatform(text: string, place: string): Platform {
  const [os = '', word = '', variantGiven, ...more] = text.split('/');
  const known = ARCHITECTURES[word] ?? { architecture: word };
  const variant = variantGiven ?? known.variant;
  const isWord = (part: string | undefined) => part === undefined || /^[a-z0-9][a-z0-9._-]{0,63}$/.test(part);
  if (more.length > 0 || ![os, known.architecture, variant].every(isWord)) {
    throw new CarportError('E_USAGE', `\`${text}\` (${place}) is no platform`, {
      hint: 'write it as `linux/amd64`, `linux/arm64`, `linux/386` or `linux/arm/v6`',
    });
  }
  if (known.architecture === 'arm' && variant === undefined) {
    throw new CarportError('E_USAGE', `\`${text}\` (${place}) does not say which ARM`, {
      hint: 'write `linux/arm/v6` or `linux/arm/v7`: without it v7 is meant, and machines with v6 do not take the image',
    });
  }
  const { architecture } = known;
  return { os, architecture, ...(variant !== undefined && USUAL[architecture] !== variant && { variant }) };
}

export function renderPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant].filter((part) => part !== undefined).join('/');
}

/** The platform of Linux on an architecture that Node names so. */
export function platformOfNode(arch: string): Platform {
  const architecture = OF_NODE[arch] ?? arch;
  return { os: 'linux', architecture, ...(architecture === 'arm' && { variant: 'v7' }) };
}

export function isSamePlatform(a: Platform, b: Platform): boolean {
  return renderPlatform(a) === renderPlatform(b);
}
