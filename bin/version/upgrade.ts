/** How this program was installed, and the line that puts a newer one in its place. */

import { realpath } from 'node:fs/promises';
import type { PublishedRelease } from '../../release/sources/published-index.js';

/** How a program was installed, and the file that runs. */
export interface Installed {
  readonly way: 'file' | 'nix' | 'npm';
  readonly path: string;
  /** As Node names it: `x64`, `arm64`. */
  readonly processor: string;
}

/** What runs: one file, a path of the Nix store, or a package of npm. */
export async function installedHere(): Promise<Installed> {
  const processor = process.arch;
  if (isOneFile()) return { way: 'file', path: process.execPath, processor };
  const program = process.argv[1] ?? '';
  const path = await realpath(program).catch(() => program);
  return { way: path.startsWith('/nix/store/') ? 'nix' : 'npm', path, processor };
}

function isOneFile(): boolean {
  // Not in the types of Node 20, which has it.
  const sea = process.getBuiltinModule('node:sea' as 'node:module') as unknown as { isSea(): boolean } | undefined;
  return sea?.isSea() === true;
}

/** Under these the pipeline publishes the program. */
const TARGETS: Readonly<Record<string, string>> = {
  x64: 'x86_64-unknown-linux-gnu',
  arm64: 'aarch64-unknown-linux-gnu',
};
const PACKAGE = 'noarch';

/** A line for a shell; `undefined` where the release has no file for this machine. */
export function upgradeLine(release: PublishedRelease, { way, path, processor }: Installed): string | undefined {
  if (way === 'nix') return 'nix profile upgrade carport';
  const fileOf = (target: string | undefined, name: string) =>
    release.targets.find((each) => each.target === target)?.files.find((file) => file.name === name);
  if (way === 'npm') {
    const address = webAddress(fileOf(PACKAGE, 'carport.tgz')?.url);
    return address && `npm install --global ${address}`;
  }
  const file = fileOf(TARGETS[processor], 'carport');
  const address = webAddress(file?.url);
  if (!address || !file?.sha256 || !/^[0-9a-f]{64}$/.test(file.sha256)) return undefined;
  const [old, fresh] = [quoted(path), quoted(`${path}.new`)];
  return `curl -fLo ${fresh} ${address} && echo '${file.sha256}  '${fresh} | sha256sum --check && chmod +x ${fresh} && mv ${fresh} ${old}`;
}

/** An address for a shell's line. */
function webAddress(url: string | null | undefined): string | undefined {
  if (typeof url !== 'string' || !URL.canParse(url)) return undefined;
  const { protocol, href } = new URL(url);
  return protocol === 'https:' || protocol === 'http:' ? quoted(href) : undefined;
}

/** One word of a shell's line. */
function quoted(text: string): string {
  return /^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
