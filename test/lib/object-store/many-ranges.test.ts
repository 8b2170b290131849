import { describe, expect, it } from 'vitest';
import { boundaryOf, bytesOfParts } from '#lib/object-store/many-ranges.js';

const CONTENT = Buffer.from('0123456789abcdefghijklmnopqrstuvwxyz');
const RANGES = [
  { offset: 2, length: 3 },
  { offset: 10, length: 1 },
  { offset: 20, length: 16 },
];
const part = (range: string, bytes: Uint8Array | string, boundary = 'B') =>
  `\r\n--${boundary}\r\nContent-Type: a/b\r\ncontent-range: bytes ${range}/36\r\n\r\n${bytes}`;
const GOOD = `${part('2-4', '234')}${part('10-10', 'a')}${part('20-35', CONTENT.subarray(20))}\r\n--B--\r\n`;

async function read(answer: string, size = answer.length): Promise<string> {
  async function* body() {
    const bytes = Buffer.from(answer);
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  }
  let all = '';
  for await (const bytes of bytesOfParts(body(), 'B', RANGES, new URL('http://localhost')))
    all += Buffer.from(bytes).toString();
  return all;
}

describe('an answer of several ranges', () => {
  it.each([1, 2, 7, 40, 1000])('is read in pieces of %i bytes', async (size) => {
    expect(await read(GOOD, size)).toBe('234aklmnopqrstuvwxyz');
    expect(await read(GOOD.slice(2), size)).toBe('234aklmnopqrstuvwxyz');
  });

  it.each([
    ['ends early', GOOD.slice(0, -13)],
    ['ends before a part', part('2-4', '234')],
    ['is empty', ''],
    ['has another order', part('10-10', 'a') + part('2-4', '234') + part('20-35', CONTENT.subarray(20))],
    ['has joined two', part('2-10', CONTENT.subarray(2, 11)) + part('20-35', CONTENT.subarray(20))],
    ['has a longer part', part('2-5', '2345') + part('10-10', 'a') + part('20-35', CONTENT.subarray(20))],
    ['has more bytes than a part says', GOOD.replace('234', '2345')],
    ['has another boundary', GOOD.replaceAll('--B', '--C')],
    ['says nothing of its parts', GOOD.replaceAll('content-range', 'range')],
    ['says it twice', GOOD.replace('Content-Type: a/b', 'content-range: bytes 2-4/36')],
    ['has a head without end', `\r\n--B\r\n${'x'.repeat(10_000)}`],
  ])('is refused where it %s', async (_, answer) => {
    for (const size of [3, 100_000]) {
      await expect(read(answer, size)).rejects.toMatchObject({ code: 'E_FORMAT' });
    }
  });

  it('is known by its headers', () => {
    const boundary = (type: string, status = 206, headers = {}) =>
      boundaryOf({ status, headers: { 'content-type': type, ...headers } } as never);
    expect(boundary('multipart/byteranges; boundary=0001')).toBe('0001');
    expect(boundary('Multipart/Byteranges;boundary="a b"')).toBe('a b');
    expect(boundary('multipart/byteranges; boundary=0001', 200)).toBeUndefined();
    expect(boundary('application/octet-stream')).toBeUndefined();
    expect(boundary('multipart/byteranges')).toBeUndefined();
    expect(boundary('multipart/byteranges; boundary=1', 206, { 'content-encoding': 'gzip' })).toBeUndefined();
  });
});
