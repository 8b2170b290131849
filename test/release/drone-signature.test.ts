import { describe, expect, it } from 'vitest';
import { droneSignatureIn, isSameSignature, signDrone, withDroneSignature } from '#release/ci/drone-signature.js';

/** The sample of Drone's own tests, and its key. */
const SAMPLE = `---
kind: pipeline
name: default

pipeline:
- name: build
  image: golang
  commands:
  - go build
  - go test

---
kind: secret
data:
  password: YjgwNDc4ZDY4NmQzNzQzYjNkYmUwYmE3YjMwOTM2OWUK
  username: N2NmYjA3ODQwNTY1ODFlY2E5MGJmOWI1NDk0NDFhMTEK

---
kind: signature
hmac: 43ea63152d72a554b2ab2bba0bac0d33d5d6d2de6f368c0c6ff544981f1f94ef

...
`;
const KEY = Buffer.from('589396227fff5a93ba934965e8735f88');
const HMAC = '389cf92a7472870783a9a5ea77b4abe58a4bb67ba58e1e7293e943aee314aedc';

const sign = (text: string) => signDrone(text, KEY);

describe("Drone's signature", () => {
  it('is that of its own library', () => {
    expect(sign(SAMPLE)).toBe(HMAC);
    expect(droneSignatureIn(SAMPLE)).toMatch(/^43ea/);
    const signed = withDroneSignature(SAMPLE, HMAC);
    expect(signed).toBe(SAMPLE.replace(/43ea[0-9a-f]+/, HMAC));
    expect(droneSignatureIn(signed)).toBe(HMAC);
  });

  it.each([
    ['line ends', SAMPLE.replaceAll('\n', '\r\n')],
    ['what stands behind separators', SAMPLE.replaceAll('---\n', '--- # a document\n')],
    ['the first separator', SAMPLE.slice(4)],
    ['what is behind the end', `${SAMPLE}kind: pipeline\n`],
    ['a second signature', SAMPLE.replace('...', '---\nkind: "signature"\n...')],
    ['where the signature is', `kind: signature\nhmac: x\n${SAMPLE.slice(0, SAMPLE.indexOf('---\nkind: signature'))}`],
  ])('does not depend on %s', (_, text) => expect(sign(text)).toBe(HMAC));

  it.each([
    ['a comment', SAMPLE.replace('kind: secret', '# comment\nkind: secret')],
    ['white space', SAMPLE.replace('go test', 'go test ')],
    ['an empty line', SAMPLE.replace('\n\n---\nkind: secret', '\n---\nkind: secret')],
    ['the order', SAMPLE.replace('---\nkind: pipeline', '---\nkind: other\n---\nkind: pipeline')],
  ])('depends on %s', (_, text) => expect(sign(text)).not.toBe(HMAC));

  it('is written, and all else stays byte for byte', () => {
    const bodies = SAMPLE.slice(0, SAMPLE.indexOf('---\nkind: signature'));
    const end = `---\nkind: signature\nhmac: ${HMAC}\n\n...\n`;
    expect(withDroneSignature(bodies, HMAC)).toBe(bodies + end);
    expect(withDroneSignature(`${bodies}...\nrest`, HMAC)).toBe(`${bodies}${end}rest`);
    for (const text of [
      'kind: pipeline\nname: a',
      '# only\n---\nkind: pipeline # ü\xff\n',
      'kind: pipeline\r\n---\r\nkind: signature\r\nhmac: 0\r\n---\r\nkind: cron\r\n',
      'kind: signature\nhmac: 0\n---\nkind: pipeline\n',
      'kind: pipeline\n---\nkind: signature\n--- # b\nkind: cron\n---\nkind: signature\n...\n',
    ]) {
      const before = sign(text);
      const signed = withDroneSignature(text, before);
      expect([sign(signed), droneSignatureIn(signed)]).toEqual([before, before]);
      expect(withDroneSignature(signed, before)).toBe(signed);
    }
    expect(withDroneSignature('kind: a\r\n--- # s\r\nkind: signature\r\n--- # b\r\nkind: c\r\n', HMAC)).toBe(
      `kind: a\r\n--- # s\r\nkind: signature\r\nhmac: ${HMAC}\r\n\r\n--- # b\r\nkind: c\r\n`,
    );
  });

  it('is of no file that Drone would read otherwise', () => {
    expect(() => sign('')).toThrow('nothing in it');
    expect(() => sign('---\n...\nkind: pipeline\n')).toThrow('nothing in it');
    expect(() => sign('kind: [\n')).toThrow('cannot be read');
    expect(() => sign('- kind\n')).toThrow('no map of keys');
    expect(() => sign(`kind: pipeline\nx: ${'y'.repeat(70_000)}\n`)).toThrow('line 2');
    expect(droneSignatureIn('kind: pipeline\n')).toBeUndefined();
    expect(droneSignatureIn('kind: signature\nhmac: [1]\n')).toBe('');
    expect(isSameSignature('', HMAC)).toBe(false);
  });
});
