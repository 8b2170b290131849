import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { showOn } from '#bin/cli/program-output.js';
import { renderSecretKey, secretKeyFromSeed } from '#lib/signing/key.js';
import { fakeContext } from '../support/context.js';

const key = renderSecretKey(secretKeyFromSeed('k-1', randomBytes(32)));
const pem = '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEI\n-----END PRIVATE KEY-----';

async function shown(text: string, size: number): Promise<string> {
  const { stderr } = fakeContext();
  const bytes = Buffer.from(text);
  await showOn(stderr)(
    (async function* () {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    })(),
  );
  return stderr.text();
}

it('what a program prints is shown without keys, wherever a pipe cuts it', async () => {
  for (const size of [1, 7, 50, 100, 100_000]) {
    expect(await shown(`é ${key}\n50 %\r${pem}\nend ${key}`, size)).toBe(
      'é k-1:[secret key]\n50 %\r[secret key]\nend k-1:[secret key]',
    );
  }
});

it('what a program prints without an end of a line is shown all the same', async () => {
  const text = 'x'.repeat(300_000);
  expect((await shown(text, 65_536)) === text).toBe(true);
});
