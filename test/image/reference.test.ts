import { describe, expect, it } from 'vitest';
import { parsePlatform, renderPlatform } from '#lib/oci/platform.js';
import { parseReference, renderReference } from '#lib/oci/reference.js';
import { parseChallenge } from '#lib/oci/registry/challenge.js';

const DOCKER = ['https://reg', 'istry-1.docker.io/'].join('');
const DIGEST = `sha256:${'a'.repeat(64)}`;

describe('names of images', () => {
  it.each([
    ['alpine', DOCKER, 'docker.io/library/alpine'],
    ['dxflrs/garage:v1', DOCKER, 'docker.io/dxflrs/garage:v1'],
    ['index.docker.io/a/b', DOCKER, 'docker.io/a/b'],
    ['docker://ghcr.io/o/n:1.2', 'https://ghcr.io/', 'ghcr.io/o/n:1.2'],
    ['localhost/app', 'http://localhost/', 'localhost/app'],
    ['localhost:5000/a/b:x', 'http://localhost:5000/', 'localhost:5000/a/b:x'],
    ['[::1]:5000/a', 'http://[::1]:5000/', '[::1]:5000/a'],
    ['https://127.0.0.1:5000/a', 'https://127.0.0.1:5000/', '127.0.0.1:5000/a'],
    ['r.example.org:8443/a__b/c-d:T_1', 'https://r.example.org:8443/', 'r.example.org:8443/a__b/c-d:T_1'],
    [`r.example.org/a:t@${DIGEST}`, 'https://r.example.org/', `r.example.org/a:t@${DIGEST}`],
  ])('%s', (text, origin, rendered) => {
    const reference = parseReference(text);
    expect(reference.origin.href).toBe(origin);
    expect(renderReference(reference)).toBe(rendered);
  });

  it.each([
    ['App', 'capital letters'],
    ['a/../b', 'cannot be the name'],
    ['a:b c', 'cannot be a tag'],
    ['a@sha256:12', 'no sha256 digest'],
    ['ghcr.io/', 'cannot be the name'],
    ['http://ghcr.io/a', 'without TLS'],
    ['http://127.0.0.1.example.org/a', 'without TLS'],
    ['ftp://ghcr.io/a', 'no server'],
    ['', 'cannot be the name'],
    ['localhost', 'no repository'],
    ['localhost:5000', 'no repository'],
    ['127.0.0.1:5000', 'no repository'],
    ['r.example.org', 'no repository'],
  ])('%j is none', (text, words) => {
    expect(() => parseReference(text)).toThrow(words);
  });

  it.each([
    ['http://r.example.org/a', 'http://r.example.org/'],
    ['http://r.example.org:5000/a', 'http://r.example.org:5000/'],
    ['https://r.example.org/a', 'https://r.example.org/'],
    ['r.example.org/a', 'https://r.example.org/'],
    ['docker://ghcr.io/a/b', 'https://ghcr.io/'],
    ['a/b', DOCKER],
    ['docker.io/a/b', DOCKER],
    ['localhost:5000/a', 'http://localhost:5000/'],
  ])('%s: only what is named without TLS is spoken to without', (text, origin) => {
    expect(parseReference(text, { plainHttp: true }).origin.href).toBe(origin);
  });

  it.each(['http://docker.io/a/b', 'http://index.docker.io/a/b'])('%s: never, as nothing there is without', (text) => {
    expect(() => parseReference(text, { plainHttp: true })).toThrow('without TLS');
  });
});

describe('platforms', () => {
  it.each([
    ['linux/amd64', 'linux/amd64'],
    ['linux/x86_64', 'linux/amd64'],
    ['linux/aarch64', 'linux/arm64'],
    ['linux/arm64/v8', 'linux/arm64'],
    ['linux/i386', 'linux/386'],
    ['linux/armv6l', 'linux/arm/v6'],
    ['linux/armhf', 'linux/arm/v7'],
  ])('%s is %s', (text, rendered) => {
    expect(renderPlatform(parsePlatform(text, '--platform'))).toBe(rendered);
  });
});

describe('challenges', () => {
  it('are read with quotes, and without', () => {
    const header =
      'Bearer realm="https://auth.example.org/token",service="r.example.org",scope="repository:a:pull,push"';
    const bearer = {
      scheme: 'bearer',
      realm: 'https://auth.example.org/token',
      service: 'r.example.org',
      scope: 'repository:a:pull,push',
    };
    expect(parseChallenge(header)).toEqual(bearer);
    expect(parseChallenge(`Basic realm="x", ${header}`)).toEqual(bearer);
    expect(parseChallenge('bearer realm=https://a.example.org/t')).toMatchObject({ realm: 'https://a.example.org/t' });
    expect(parseChallenge('Basic realm="x"')).toEqual({ scheme: 'basic' });
    expect(parseChallenge('Negotiate')).toBeUndefined();
    expect(parseChallenge(undefined)).toBeUndefined();
  });
});
