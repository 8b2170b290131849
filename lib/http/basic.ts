/** A name and a password as servers take them (RFC 7617). */

import { rememberSecret } from '../known-secrets.js';

/** The value of an `Authorization`. Neither the password nor this is shown from then on: servers repeat what they refuse. */
export function basicAuthorization(user: string, password: string): string {
  const login = Buffer.from(`${user}:${password}`).toString('base64');
  rememberSecret(password);
  rememberSecret(login);
  return `Basic ${login}`;
}
