import { describe, expect, it } from 'vitest';
import { hideLikelyPasswords, hidePasswords } from '#lib/hide-passwords.js';
import { hideKnownSecrets, hideSureSecrets, rememberLikelySecret, rememberSecret } from '#lib/known-secrets.js';

describe('a password in a URL', () => {
  it.each([
    ['https://user:geheim@host/c', 'https://…@host/c'],
    ['https://geheim@host', 'https://…@host'],
    ['s3://AK:geheim/x+y@bucket', 's3://…@bucket'],
    ['https://user:ge@heim@host/x', 'https://…@host/x'],
    ['s3://nix?endpoint=https://user:geheim@host', 's3://nix?endpoint=https://…@host'],
    ['s3://nix?endpoint=user:geheim@host', 's3://nix?endpoint=…@host'],
    ['endpoint=https%3A%2F%2Fuser%3Ageheim%40host', 'endpoint=https%3A%2F%2F…@host'],
    ['(`https://u:geheim@h` and `http://v:geheim@i`)', '(`https://…@h` and `http://…@i`)'],
    ['ssh://git:geheim@host/x', 'ssh://…@host/x'],
    ['https:/user:geheim@host', 'https:/…@host'],
    ['https//user:geheim@host', 'https//…@host'],
    ['http:///user:geheim@host', 'http:///…@host'],
  ])('is hidden: %s', (text, shown) => {
    expect(hidePasswords(text)).toBe(shown);
    expect(hideLikelyPasswords(text)).toBe(shown);
  });

  it('with a slash in it is hidden in words, where a result may have a path', () => {
    const text = 'https://h:org/repo@rev';
    expect([hidePasswords(text), hideLikelyPasswords(text)]).toEqual([text, 'https://…@rev']);
  });

  it.each([
    ...['ssh://git@host/owner/project', 'http://localhost:3900/a@b', 'file:///srv/a@b', 'https://host/@scope/x'],
    ...['https://host and user@example.org', 'user@host:/srv', 'https://[::1]:80/x', 'toolchain@2026-11-01'],
    ...['https://[::1]:3900/nix/a@b', 's3://nix?endpoint=http://[fe80::1]:3900&x=a@b', 'https://%5B::1%5D:1/a@b'],
  ])('is not seen where there is none: %s', (text) => {
    expect(hidePasswords(text)).toBe(text);
    expect(hideLikelyPasswords(text)).toBe(text);
  });
});

describe('a secret that is known', () => {
  it('is hidden in each of its forms', () => {
    rememberSecret('a/b+c"d=0123456789 ');
    for (const form of ['a/b+c"d=0123456789', 'a%2Fb%2Bc%22d%3D0123456789', 'a/b+c\\"d=0123456789']) {
      expect(hideKnownSecrets(`x${form}x ${form}`)).toBe('x[secret]x [secret]');
    }
  });

  it('is hidden as a whole word where it is short, and not where it is very short', () => {
    for (const secret of ['geheimnis', 'kurz', '', undefined]) rememberSecret(secret);
    expect(hideKnownSecrets('geheimnis (geheimnis) geheimnisse kurz')).toBe('[secret] ([secret]) geheimnisse kurz');
  });

  it('is hidden in results only where it can be nothing else', () => {
    const path = '/nix/store/3n58xw4373jp0ljirf06d8077j15pc4j-Postgres-16.2-Abcdefgh';
    for (const word of [
      'postgres',
      'releases',
      '12345678901234567890',
      'keys/release-2026.sec',
      'v1.2.3-rc1-linux-x86',
    ]) {
      rememberLikelySecret(word);
    }
    rememberSecret('minioadmin2');
    rememberSecret('Postgres-16.2-Abcdefgh');
    rememberLikelySecret('ghp_abcDEF0123456789abcDEF');
    expect(hideSureSecrets(path)).toBe(path);
    expect(hideKnownSecrets('/srv/postgres/releases 12345678901234567890')).toBe(
      '/srv/postgres/releases 12345678901234567890',
    );
    expect(hideSureSecrets('minioadmin2 keys/release-2026.sec v1.2.3-rc1-linux-x86')).toBe(
      'minioadmin2 keys/release-2026.sec v1.2.3-rc1-linux-x86',
    );
    expect(hideKnownSecrets('minioadmin2')).toBe('[secret]');
    expect(hideSureSecrets('x Postgres-16.2-Abcdefgh ghp_abcDEF0123456789abcDEF')).toBe('x [secret] [secret]');
  });
});
