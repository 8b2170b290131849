import { hidePasswords } from '../lib/hide-passwords.js';
import { hideKnownSecrets, rememberSecret } from '../lib/known-secrets.js';
import { hideLikelyKeys } from '../lib/signing/likely-key.js';
import { hideSecretKeys } from '../lib/signing/secret-form.js';

/** Results without secrets: only what is one for sure is taken out. */
export function redact(text: string): string {
  return hidePasswords(hideKnownSecrets(hideSecretKeys(text)));
}

/** Words for people without secrets, nor what may be a part of one. */
export function redactWords(text: string): string {
  return hidePasswords(hideKnownSecrets(hideLikelyKeys(text)));
}

/** Names of variables that hold a secret, and not the name of its file. */
const SECRET_NAME =
  /(?:^|_)(?:TOKEN|PASSWORD|PASSWD|PASSPHRASE|SECRET|SECRET_ACCESS_KEY|SECRET_KEY|SIGNING_KEY|PRIVATE_KEY|API_KEY|APIKEY)$/i;

/** Remembers the secrets of the environment: access keys, tokens of forges, passwords. */
export function rememberSecretsOf(env: NodeJS.ProcessEnv): void {
  for (const [name, value] of Object.entries(env)) {
    // A path is that of a file.
    if (SECRET_NAME.test(name) && !value?.startsWith('/')) rememberSecret(value);
  }
}
