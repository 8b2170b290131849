/** Text without secrets. */

import { hideLikelyPasswords, hidePasswords } from '../../lib/hide-passwords.js';
import { hideKnownSecrets, hideSureSecrets, rememberLikelySecret, rememberSecret } from '../../lib/known-secrets.js';
import { hideLikelyKeys } from '../../lib/signing/likely-key.js';
import { hideSecretKeys } from '../../lib/signing/secret-form.js';

/** Results without secrets: only what is one for sure is taken out. */
export function redact(text: string): string {
  return hidePasswords(hideSureSecrets(hideSecretKeys(text)));
}

/** Words for people without secrets, nor what may be a part of one. */
export function redactWords(text: string): string {
  return hideLikelyPasswords(hideKnownSecrets(hideLikelyKeys(text)));
}

/** What somebody has typed, in a result: nothing is looked up by it. */
export function redactSetting(text: string): string {
  return hideLikelyPasswords(hideSureSecrets(hideLikelyKeys(text)));
}

/** Fields of results that carport has worked out, or has read as what they are. A signature has the form of a key. */
const COMPUTED = new Set([
  ...['signatures', 'narHash', 'fileHash', 'sha256', 'hash', 'storePath', 'storePaths', 'references', 'deriver'],
  ...['version', 'versions', 'publicKey', 'keyId'],
]);

/** A replacer for `JSON.stringify`: secrets are looked for before characters are escaped. */
export function redactField(name: string, value: unknown): unknown {
  if (typeof value === 'string') return COMPUTED.has(name) ? value : redact(value);
  if (!COMPUTED.has(name) || !Array.isArray(value)) return value;
  // A string that is an object is written as one that is none, and not looked at again.
  return value.map((each: unknown) => (typeof each === 'string' ? Object(each) : each));
}

/** Names of variables that hold a secret, and not the name of its file. */
const SECRET_NAME =
  /(?:^|_)(?:TOKEN|PASSWORD|PASSWD|PASSPHRASE|SECRET|SECRET_ACCESS_KEY|(?:SECRET_|SIGNING_|PRIVATE_)KEY|API_?KEY)$/i;
const SURE_NAME = /^AWS_(?:SECRET_ACCESS_KEY|SESSION_TOKEN)$/i;
const KEY_NAME = /(?:SECRET|SIGNING|PRIVATE)_KEY$/i;

/** Remembers the secrets of the environment: access keys, tokens of forges, passwords. */
export function rememberSecretsOf(env: NodeJS.ProcessEnv): void {
  for (const [name, value = ''] of Object.entries(env)) {
    if (SURE_NAME.test(name)) rememberSecret(value);
    else if (SECRET_NAME.test(name) && !isPath(name, value)) rememberLikelySecret(value);
  }
}

/** A file may be named where a key is expected; other secrets have slashes within. */
function isPath(name: string, value: string): boolean {
  if (/^(?:\/|\.{1,2}\/|~\/)/.test(value)) return true;
  return KEY_NAME.test(name) && (/^[\w.@ /-]*\/[\w.@ /-]*$/.test(value) || /^[^:=]*\.[a-z]{2,5}$/.test(value));
}
