import { expect, test } from 'vitest';
import { basicAuthorization } from '#lib/http/basic.js';
import { hideKnownSecrets } from '#lib/known-secrets.js';

test('what a server repeats of a login is not shown', () => {
  const value = basicAuthorization('__token__', 'of-a-test-only-5581');
  expect(value).toBe('Basic X190b2tlbl9fOm9mLWEtdGVzdC1vbmx5LTU1ODE=');
  expect(hideKnownSecrets(`bad token ${value}, of-a-test-only-5581`)).toBe('bad token Basic [secret], [secret]');
});
