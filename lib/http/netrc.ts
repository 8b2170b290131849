/** Passwords of web servers. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CarportError, isErrno } from '../errors.js';
import { homeDirectory } from '../home-directory.js';
import { basicAuthorization } from './basic.js';

/** Tells the `Authorization` for a host, from the netrc file: `$NETRC`, else `~/.netrc`, as curl and Nix read it. */
export function createNetrc(env: NodeJS.ProcessEnv): (hostname: string) => Promise<string | undefined> {
  let text: Promise<string> | undefined;
  const known = new Map<string, string | undefined>();
  return async (hostname) => {
    if (known.has(hostname)) return known.get(hostname);
    text ??= readNetrc(env.NETRC || join(homeDirectory(env), '.netrc'));
    const login = findLogin(await text, hostname);
    const authorization = login && basicAuthorization(login.name, login.password);
    known.set(hostname, authorization);
    return authorization;
  };
}

async function readNetrc(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    if (isErrno(cause, 'ENOENT', 'ENOTDIR')) return '';
    throw new CarportError('E_CREDENTIALS', `\`${file}\` cannot be read`, { cause, hint: 'check its permissions' });
  }
}

interface Login {
  readonly name: string;
  readonly password: string;
}

/** The first entry of the host, or the `default` one. Macros are passed over. */
export function findLogin(text: string, hostname: string): Login | undefined {
  const words =
    text
      .replace(/^\s*#.*$/gm, '')
      .replace(/^\s*macdef[\s\S]*?(\n[^\S\n]*\n|(?![\s\S]))/gm, '')
      .match(/"(?:\\.|[^"\\])*"|\S+/g) ?? [];
  let matches = false;
  let [name, password]: (string | undefined)[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (word === 'machine' || word === 'default') {
      if (matches && password !== undefined) break;
      matches = word === 'default' || unquote(words[++at] ?? '') === hostname;
      [name, password] = [undefined, undefined];
    } else if (['login', 'password', 'account'].includes(word)) {
      const value = unquote(words[++at] ?? '');
      if (matches && word === 'login') name = value;
      if (matches && word === 'password') password = value;
    }
  }
  return matches && password !== undefined ? { name: name ?? '', password } : undefined;
}

function unquote(word: string): string {
  return word.startsWith('"') ? word.slice(1, -1).replace(/\\(.)/g, '$1') : word;
}
