import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { peersFolder } from '#dev/garage-program.js';
import { describeWithPeer } from './peers.js';

/** Versions of Nix beside the system's, by the suite of Debian that has them; `.ci/run` puts each into a root of its own. */
export type NixVersion = 'trixie' | 'sid';

/** The suites, and what they had when everything was tried: 2.26.3 and 2.34.8. A later sid has a later Nix. */
export const NIX_VERSIONS: readonly NixVersion[] = ['trixie', 'sid'];

/** Now: a test that runs carport within this process changes its environment meanwhile. */
const PEERS = peersFolder(process.env);

/** `describe` for tests against one of them: what it is called says its version. */
export function describeWithNixVersion(version: NixVersion, title: string, body: () => void): void {
  const found = versionOf(version);
  const missing = found === undefined ? `Nix of Debian's ${version} is missing (.ci/run installs it)` : undefined;
  describeWithPeer(missing, `${title}, ${found ?? version}`, body);
}

function versionOf(version: NixVersion): string | undefined {
  try {
    const [loader, ...args] = commandLine(version, 'nix');
    return execFileSync(loader!, [...args, '--version'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return undefined;
  }
}

/**
 * Makes a directory of Nix's programs, for PATH. They run with the libraries of their own root, and everything else of this
 * machine: no other root directory, and no mounts, so that carport and tests run beside them.
 */
export async function makeNixPrograms(version: NixVersion, directory: string): Promise<string> {
  await mkdir(directory);
  for (const name of readdirSync(join(rootOf(version), 'usr/bin')).filter((each) => /^nix(-|$)/.test(each))) {
    // Nix starts itself by the program that the kernel knows, which is the loader here.
    const hook = `build-hook = ${join(directory, 'nix')} __build-remote`;
    const script = [
      '#!/bin/sh',
      `NIX_CONFIG="${hook}`,
      `$NIX_CONFIG" exec ${commandLine(version, name).join(' ')} "$@"`,
    ];
    await writeFile(join(directory, name), `${script.join('\n')}\n`);
    await chmod(join(directory, name), 0o755);
  }
  return directory;
}

function commandLine(version: NixVersion, name: string): readonly string[] {
  const root = rootOf(version);
  const libraries = readdirSync(join(root, 'usr/lib')).filter((each) => each.endsWith('-linux-gnu'));
  const path = libraries.map((each) => join(root, 'usr/lib', each)).join(':');
  const [loader] = libraries.flatMap((each) =>
    readdirSync(join(root, 'usr/lib', each))
      .filter((file) => /^ld-linux.*\.so/.test(file))
      .map((file) => join(root, 'usr/lib', each, file)),
  );
  return [loader!, '--argv0', name, '--library-path', path, join(root, 'usr/bin/nix')];
}

function rootOf(version: NixVersion): string {
  return join(PEERS, 'nix', version);
}
