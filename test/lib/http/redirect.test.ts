import { describe, expect, it } from 'vitest';
import { followRedirects, isRedirect, redirectedRequest } from '#lib/http/redirect.js';
import type { HttpRequest } from '#lib/http/transport.js';
import { fakeTransport } from '../../support/transports.js';

const SECRET = { authorization: 'Basic x', cookie: 'y', range: 'bytes=0-1' };

function request(url: string, method: HttpRequest['method'] = 'GET'): HttpRequest {
  return { method, url: new URL(url), headers: SECRET };
}

function redirect(location: string | undefined, status = 302) {
  return { status, headers: location === undefined ? {} : { location } };
}

describe('a redirect', () => {
  const follow = (from: string, location: string | undefined, status?: number) => {
    const next = redirectedRequest(request(from, 'HEAD'), redirect(location, status));
    return next && [next.method, next.url.href, next.headers];
  };

  it.each([301, 302, 303, 307, 308])('is an answer with status %d', (status) => {
    expect(isRedirect({ status })).toBe(true);
    expect(follow('http://a/x', '/y', status)).toEqual(['HEAD', 'http://a/y', SECRET]);
  });

  it.each([200, 206, 300, 304, 305, 306, 400, 404])('is no answer with status %d', (status) => {
    expect(isRedirect({ status })).toBe(false);
    expect(follow('http://a/x', '/y', status)).toBeUndefined();
  });

  it('never leads from TLS to none, but to TLS', () => {
    expect(follow('https://a/x', 'http://a/x')).toBeUndefined();
    expect(follow('https://a/x', 'https://a/y')).toEqual(['HEAD', 'https://a/y', SECRET]);
    expect(follow('https://a/x', '//a/y')).toEqual(['HEAD', 'https://a/y', SECRET]);
    expect(follow('http://a/x', 'https://a/x')).toEqual(['HEAD', 'https://a/x', SECRET]);
  });

  it.each([undefined, '', 'http://', 'file:///etc/passwd', 'ftp://a/x', 'data:,x'])(
    'does not lead to %s',
    (location) => {
      expect(follow('http://a/x', location)).toBeUndefined();
      expect(follow('https://a/x', location)).toBeUndefined();
    },
  );

  it.each(['http://b/x', 'http://a:8080/x', 'http://a.b/x', '//b/x', 'https://a:444/x'])(
    'takes the range, and no credentials, to %s',
    (location) => {
      expect(follow('http://a/x', location)?.[2]).toEqual({ range: SECRET.range });
    },
  );
});

describe('following redirects', () => {
  it('ends at the first answer that is none', async () => {
    const { send, sent } = fakeTransport([redirect('/1'), redirect('/2'), { status: 404 }]);
    const { asked, response } = await followRedirects(request('http://a/0'), send);
    expect([asked.url.pathname, response.status]).toEqual(['/2', 404]);
    expect(sent.map(({ url }) => url.pathname)).toEqual(['/0', '/1', '/2']);
  });

  it('does not give credentials back when another host leads back', async () => {
    const { send, sent } = fakeTransport([redirect('http://b/'), redirect('http://a/'), { status: 200 }]);
    await followRedirects(request('http://a/'), send);
    expect(sent.map(({ headers }) => 'authorization' in headers)).toEqual([true, false, false]);
  });

  it('follows five, and gives the sixth', async () => {
    const { send, sent } = fakeTransport([redirect('/x')]);
    const { response } = await followRedirects(request('http://a/x'), send);
    expect([sent.length, response.status]).toEqual([6, 302]);
  });
});
