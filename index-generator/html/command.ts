/** What to type to fetch a file, and to check it. */

import type { ReleaseFile } from '../../release/catalog/model.js';
import { SUMS, signatureKey } from '../../release/layout.js';
import type { Platform } from '../platform.js';

/** What a command is about. */
export interface Fetched {
  /** Under which name it is to be saved. */
  readonly name: string;
  /** Has no quotes in it. */
  readonly url: string;
  readonly sha256?: string | undefined;
}

/** The names in the place of which a script puts those of another file. */
export const PLACES = { name: '{name}', url: '{url}', sha256: '{sha256}' } as const satisfies Fetched;

/** What is known of a file, as commands may have it. */
export function fetchedOf({ name, sha256 }: ReleaseFile, url: string): Fetched {
  // A name that a shell or a terminal might take for more than a name is not typed.
  const isPlain = /^[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}$/.test(name);
  return { name: isPlain ? name : 'download', url, ...(isSha256(sha256) && { sha256 }) };
}

/** What to type to fetch a file, and to check it when its hash is known: for a shell, or on Windows for PowerShell. */
export function fetchCommand(system: Platform['system'], { name, url, sha256 }: Fetched): string {
  if (system === 'windows') {
    const fetch = `Invoke-WebRequest -Uri '${url}' -OutFile '${name}'`;
    if (sha256 === undefined) return fetch;
    return `${fetch}\nif ((Get-FileHash '${name}' -Algorithm SHA256).Hash -ne '${sha256}') { throw 'wrong checksum' }`;
  }
  const fetch = `curl -fL -o ${name} '${url}'`;
  if (sha256 === undefined) return fetch;
  const check = system === 'linux' ? 'sha256sum -c' : 'shasum -a 256 -c';
  return `${fetch} &&\n  echo '${sha256}  ${name}' | ${check}`;
}

/** What to type to check the checksums of a release, and to fetch them when it is known where they are. */
export function verifyCommand(minisignKey: string, url: string | undefined): string {
  const verify = `minisign -Vm ${SUMS} -P ${minisignKey}`;
  return url === undefined ? verify : `curl -fL -O '${url}' -O '${signatureKey(url)}' &&\n  ${verify}`;
}

/** Whether this is a SHA-256 in hex. It goes into a shell command. */
export function isSha256(text: string | undefined): text is string {
  return text !== undefined && /^[0-9a-f]{64}$/.test(text);
}
