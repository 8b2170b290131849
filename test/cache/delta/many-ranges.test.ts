import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { findOutRanges } from '#cache/delta/many-ranges.js';
import { noise } from '../../support/files.js';
import { halfHere, wantedHalf } from '../../support/half-here.js';
import { answerWith, useHttpServers } from '../../support/http-server.js';
import { useStores } from '../../support/stores.js';

const KIB = 1024;
const FRAME = 10 * KIB;
const MANY = 400;
const FILE = noise(FRAME * MANY, 'file');
const INFO = Buffer.from('StoreDir: /nix/store\n');
const wantedOf = (count: number) => wantedHalf(FILE.subarray(0, count * FRAME), FRAME);

/** How a server answers to several ranges. */
type Answer = (response: ServerResponse, bytes: Buffer, ranges: readonly (readonly [number, number])[]) => void;

const partsOf = (bytes: Buffer, ranges: Parameters<Answer>[2]) => {
  const parts = ranges.flatMap(([from, to]) => [
    Buffer.from(`\r\n--B\r\nContent-Range: bytes ${from}-${to}/${bytes.length}\r\n\r\n`),
    bytes.subarray(from, to + 1),
  ]);
  const body = Buffer.concat([...parts, Buffer.from('\r\n--B--\r\n')]);
  return { body, headers: { 'content-type': 'multipart/byteranges; boundary=B' } };
};
const together: Answer = (response, bytes, ranges) => {
  const { body, headers } = partsOf(bytes, ranges);
  answerWith(response, body, { status: 206, headers });
};
const whole: Answer = (response, bytes) => answerWith(response, bytes);

describe('ranges of one NAR', () => {
  const serve = useHttpServers();
  const stores = useStores();

  /** What is fetched of the NAR of which every other chunk is here, and which requests that took. */
  const fetched = async (many: Answer, ofNar: Answer = many, count = 40, link = 'nar/x') => {
    const requests: { key: string; ranges: number }[] = [];
    const server = await serve(({ url, headers }: IncomingMessage, response) => {
      const isNar = url !== '/nix-cache-info';
      const bytes = isNar ? FILE : INFO;
      const ranges = [...headers.range!.matchAll(/(\d+)-(\d*)/g)].map(
        ([, a, b]) => [Number(a), b ? Number(b) : bytes.length - 1] as const,
      );
      requests.push({ key: url!, ranges: ranges.length });
      if (ranges.length > 1) return (isNar ? ofNar : many)(response, bytes, ranges);
      const [from, to] = ranges[0]!;
      const contentRange = `bytes ${from}-${to}/${bytes.length}`;
      answerWith(response, bytes.subarray(from, to + 1), { status: 206, headers: { 'content-range': contentRange } });
    });
    const { objects } = (await stores()).open(server.url.href, { patienceMs: 500 });
    findOutRanges(objects);
    expect(await objects.read('nix-cache-info', 1000)).toEqual(INFO);
    const nar = halfHere({ objects, link, count, frameSize: FRAME, fileSize: 10 * FILE.length });
    const pieces: Uint8Array[] = [];
    for await (const piece of nar.source!()) pieces.push(Uint8Array.from(piece));
    return { isRight: Buffer.concat(pieces).equals(wantedOf(count)), requests };
  };
  const ofNar = (requests: readonly { key: string; ranges: number }[]) =>
    requests.flatMap(({ key, ranges }) => (key === '/nix-cache-info' ? [] : [ranges]));

  it('are asked for together where the server sends them so', async () => {
    const { isRight, requests } = await fetched(together, together, MANY);
    expect(isRight).toBe(true);
    expect(requests[0]).toEqual({ key: '/nix-cache-info', ranges: 2 });
    expect(ofNar(requests)).toEqual([192, 8]);
  });

  it('are on their way in several answers', async () => {
    let goOn = () => {};
    const { isRight, requests } = await fetched(
      together,
      (response, bytes, ranges) => {
        const { body, headers } = partsOf(bytes, ranges);
        if (ranges.length < 192) {
          goOn();
          return answerWith(response, body, { status: 206, headers });
        }
        // It does not end before the next one was asked for.
        response.writeHead(206, { 'content-length': body.length, ...headers }).write(body.subarray(0, 100_000));
        goOn = () => response.end(body.subarray(100_000));
      },
      MANY,
    );
    expect(isRight).toBe(true);
    expect(ofNar(requests)).toEqual([192, 8]);
  });

  it('are asked for one by one of another server than the one that has told', async () => {
    const asked: string[] = [];
    const other = await serve(({ headers }, response) => {
      const [from, to] = headers.range!.replace('bytes=', '').split('-').map(Number);
      asked.push(headers.range!);
      const contentRange = `bytes ${from}-${to}/${FILE.length}`;
      answerWith(response, FILE.subarray(from, to! + 1), { status: 206, headers: { 'content-range': contentRange } });
    });
    const { isRight, requests } = await fetched(together, together, 6, `${other.url.href}x`);
    expect([isRight, ofNar(requests), asked.length]).toEqual([true, [], 3]);
  });

  it('are asked for one by one elsewhere, and NARs not otherwise', async () => {
    const { isRight, requests } = await fetched(whole);
    expect(isRight).toBe(true);
    expect(new Set(ofNar(requests))).toEqual(new Set([1]));
  });

  it('come one by one where the answer is not what was asked for', async () => {
    const otherOrder: Answer = (response, bytes, ranges) => together(response, bytes, [...ranges].reverse());
    for (const answer of [whole, otherOrder]) {
      const { isRight, requests } = await fetched(together, answer);
      expect(isRight).toBe(true);
      expect(ofNar(requests).filter((ranges) => ranges > 1)).toHaveLength(1);
    }
  });

  it('go on where an answer breaks off', async () => {
    let answers = 0;
    const { isRight, requests } = await fetched(together, (response, bytes, ranges) =>
      together(response, bytes, ++answers === 1 ? ranges.slice(0, 10) : ranges),
    );
    expect(isRight).toBe(true);
    expect(ofNar(requests).filter((ranges) => ranges > 1)).toHaveLength(2);
  });
});
