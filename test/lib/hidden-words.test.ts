import { describe, expect, it } from 'vitest';
import { hidePasswords } from '#lib/hide-passwords.js';
import { hideKnownSecrets, rememberSecret } from '#lib/known-secrets.js';

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
  });

  it.each([
    ...['ssh://git@host/owner/project', 'http://localhost:3900/a@b', 'file:///srv/a@b', 'https://host/@scope/x'],
    ...['https://host and user@example.org', 'user@host:/srv', 'https://[::1]:80/x', 'toolchain@2026-11-01'],
  ])('is not seen where there is none: %s', (text) => {
    expect(hidePasswords(text)).toBe(text);
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
});
