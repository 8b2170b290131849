import { describe, expect, it } from 'vitest';
import { createAnswerReader, type Reading } from '#lib/http/connections/answer-reader.js';

/** Reads an answer in pieces of a size; what came of the last piece that was taken, and the reader. */
function read(text: string, { method = 'GET', size = text.length } = {}) {
  const reader = createAnswerReader(method);
  let reading: Reading = 'more';
  const bytes = Buffer.from(text, 'latin1');
  for (let at = 0; at < bytes.length && reading === 'more'; at += size) {
    // The memory is another's, and is used again.
    const piece = Buffer.from(bytes.subarray(at, at + size));
    reading = reader.take(piece);
    piece.fill(0);
  }
  const answer = reader.answer();
  return { reading, answer, text: answer && Buffer.from(answer.body).toString('latin1') };
}

const OK = 'HTTP/1.1 200 OK\r\n';

describe('a short answer', () => {
  it.each([
    [`${OK}Content-Length: 5\r\n\r\nhello`, 'hello'],
    [`${OK}content-length: 0\r\n\r\n`, ''],
    ['HTTP/1.1 200\r\ncontent-length:2 \r\n\r\nhi', 'hi'],
    [`${OK}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n`, 'abcde'],
    [`${OK}Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n`, ''],
    ['HTTP/1.1 204 No Content\r\n\r\n', ''],
    ['HTTP/1.1 404 N\xf8\r\ncontent-length: 2\r\n\r\nno', 'no'],
  ])('is read from pieces of any size: %j', (answer, body) => {
    for (let size = 1; size <= answer.length; size++) {
      expect(read(answer, { size })).toMatchObject({
        reading: 'whole',
        text: body,
        answer: { isWhole: true, isKept: true },
      });
    }
  });

  it('has its headers by their names in lower case; lists are joined, and of others the first counts', () => {
    const head = `${OK}ETag: "a"\r\nETAG: "b"\r\nX-A:  1\t\r\nx-a: 2\r\nconstructor: x\r\nContent-Length: 0\r\n\r\n`;
    const { headers, status } = read(head).answer!;
    expect([status, headers.etag, headers['x-a'], headers.constructor]).toEqual([200, '"a"', '1, 2', 'x']);
  });

  it('to HEAD has no body, however long the object is', () => {
    expect(read(`${OK}content-length: 1000000000000\r\n\r\n`, { method: 'HEAD' }).reading).toBe('whole');
  });

  it('says when its connection is not to be used again', () => {
    expect(read(`${OK}connection: close\r\ncontent-length: 0\r\n\r\n`).answer!.isKept).toBe(false);
    expect(read(`${OK}connection: Keep-Alive\r\ncontent-length: 0\r\n\r\n`).answer!.isKept).toBe(true);
  });

  it('has its memory for itself', () => {
    const { body } = read(`${OK}content-length: 5\r\n\r\nhello`).answer!;
    expect(body.buffer.byteLength).toBe(5);
  });

  it('that breaks off has what came', () => {
    const { reading, answer, text } = read(`${OK}content-length: 9\r\n\r\nhalf`);
    expect([reading, answer!.isWhole, answer!.isKept, text]).toEqual(['more', false, false, 'half']);
    expect(read('HTTP/1.1 200 OK\r\ncontent-le').answer).toBeUndefined();
  });

  it.each([
    ['another protocol', 'HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n'],
    ['no HTTP', 'SSH-2.0-OpenSSH\r\n\r\n'],
    ['an interim answer', 'HTTP/1.1 100 Continue\r\n\r\n'],
    ['a status of more digits', 'HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n'],
    ['the beginning of no HTTP', 'SSH-2.0-OpenSSH_9\r\n'],
    ['the beginning of an older protocol', 'HTTP/1.0 200'],
    ['lines that end with a line feed', 'HTTP/1.1 200 OK\ncontent-length: 0\n\n'],
    ['no length', `${OK}\r\nx`],
    ['two lengths', `${OK}content-length: 1\r\ncontent-length: 1\r\n\r\nx`],
    ['a list of lengths', `${OK}content-length: 1, 1\r\n\r\nx`],
    ['a length that is none', `${OK}content-length: +1\r\n\r\nx`],
    ['a length and chunks', `${OK}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['another coding', `${OK}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    ['more bytes than it has', `${OK}content-length: 1\r\n\r\nxy`],
    ['bytes after no body', 'HTTP/1.1 204 No Content\r\n\r\nx'],
    ['a space before a colon', `${OK}content-length : 0\r\n\r\n`],
    ['a folded line', `${OK}x: y\r\n z\r\ncontent-length: 0\r\n\r\n`],
    ['a bare line feed', `${OK}x: y\ncontent-length: 5\r\ncontent-length: 0\r\n\r\n`],
    ['a zero byte', `${OK}x: \0\r\ncontent-length: 0\r\n\r\n`],
    ['a chunk that is longer than it says', `${OK}transfer-encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n`],
    ['a chunk without a size', `${OK}transfer-encoding: chunked\r\n\r\n\r\n0\r\n\r\n`],
    ['trailers', `${OK}transfer-encoding: chunked\r\n\r\n0\r\nx: y\r\n\r\n`],
    ['bytes after its chunks', `${OK}transfer-encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200`],
    ['a head without an end', `${OK}x: ${'y'.repeat(20_000)}`],
  ])('is left to others with %s', (_, answer) => {
    expect(read(answer).reading).toBe('unsupported');
  });

  it.each([
    ['its length says so', `${OK}content-length: 10000000\r\n\r\n`],
    ['its chunks have no end', `${OK}transfer-encoding: chunked\r\n\r\n${`400\r\n${'a'.repeat(1024)}\r\n`.repeat(70)}`],
  ])('is long when %s', (_, answer) => {
    expect(read(answer).reading).toBe('long');
  });

  it('in chunks of a byte, which come byte by byte, is read in time that grows as they do', () => {
    const chunks = '1\r\na\r\n'.repeat(2_000);
    expect(read(`${OK}transfer-encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`, { size: 1 }).text).toBe('a'.repeat(2_000));
  });
});
