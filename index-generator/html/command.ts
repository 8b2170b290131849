/** What to type to fetch a file, and to check it. */

import type { ReleaseFile } from '../../release/catalog/model.js';
import { SUMS, signatureKey } from '../../release/layout.js';

/** What to type to fetch a file, and to check it when its hash is known. `url` has no quotes in it. */
export function fetchCommand(file: ReleaseFile, url: string): string {
  // A name that a shell or a terminal might take for more than a name is not typed.
  const name = /^[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}$/.test(file.name) ? file.name : 'download';
  const fetch = `curl -fL -o ${name} '${url}'`;
  if (!isSha256(file.sha256)) return fetch;
  return `${fetch} &&\n  echo '${file.sha256}  ${name}' | sha256sum -c`;
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
