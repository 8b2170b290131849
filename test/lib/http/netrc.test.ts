import { writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { createNetrc, findLogin } from '#lib/http/netrc.js';
import { useDirectory } from '../../support/files.js';

describe('a netrc file', () => {
  it.each([
    ['one line', 'machine host login me password secret'],
    ['several lines', 'machine host\n  login me\n\tpassword secret\n'],
    ['another order', 'machine host password secret account x login me'],
    ['another machine before', 'machine other login you password wrong\nmachine host login me password secret'],
    ['the first of two', 'machine host login me password secret\nmachine host login you password wrong'],
    ['the default at last', 'machine other login you password wrong default login me password secret'],
    ['comments', '# machine host login you password wrong\nmachine host login me password secret # done'],
    ['a macro', 'macdef init\nmachine host login you password wrong\n\nmachine host login me password secret'],
    ['quotes', 'machine "host" login "me" password "secret"'],
    ['carriage returns', 'machine host\r\nlogin me\r\npassword secret\r\n'],
  ])('tells the login of a host: %s', (_, text) => {
    expect(findLogin(text, 'host')).toEqual({ name: 'me', password: 'secret' });
  });

  it('has passwords with spaces and quotes in quotes', () => {
    expect(findLogin('machine host login me password "a \\"b\\" \\\\c"', 'host')?.password).toBe('a "b" \\c');
    expect(findLogin('machine host login me password login', 'host')?.password).toBe('login');
  });

  it('has passwords without a name', () => {
    expect(findLogin('machine host password token', 'host')).toEqual({ name: '', password: 'token' });
  });

  it.each([
    ['', 'nothing'],
    ['machine other login me password secret', 'another host'],
    ['machine host.example login me password secret', 'a longer name'],
    ['machine host login me', 'no password'],
    ['machine', 'half of it'],
    ['machine host login me password', 'half of a password'],
    ['login me password secret', 'no machine'],
  ])('has none in %j: %s', (text) => {
    expect(findLogin(text, 'host')?.password ?? '').toBe('');
  });

  describe('is looked for', () => {
    const directory = useDirectory();
    const basic = `Basic ${Buffer.from('me:secret').toString('base64')}`;

    it('where NETRC says, or else at home, once', async () => {
      const line = 'machine host login me password secret\n';
      await writeFile(`${directory()}/.netrc`, line);
      await writeFile(`${directory()}/mine`, line.replace('host', 'other'));
      const home = createNetrc({ HOME: directory() });
      expect([await home('host'), await home('other')]).toEqual([basic, undefined]);
      const named = createNetrc({ HOME: directory(), NETRC: `${directory()}/mine` });
      expect([await named('host'), await named('other')]).toEqual([undefined, basic]);
      await writeFile(`${directory()}/.netrc`, '');
      expect(await home('host')).toBe(basic);
    });

    it('and need not be there', async () => {
      expect(await createNetrc({ HOME: directory() })('host')).toBeUndefined();
      expect(await createNetrc({ NETRC: `${directory()}/none` })('host')).toBeUndefined();
    });

    it('and must be a file that can be read', async () => {
      await expect(createNetrc({ NETRC: directory() })('host')).rejects.toThrow('cannot be read');
    });
  });
});
