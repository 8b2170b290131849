import { describe, expect, it } from 'vitest';
import { createRetry } from '#lib/http/retry.js';
import { withWholeBody } from '#lib/object-store/s3/whole-body.js';
import { gather } from '../../../support/files.js';
import { getRequest } from '../../../support/http-server.js';
import { type FakeAnswer, fakeTransport, networkError } from '../../../support/transports.js';

const XML = '<?xml version="1.0" encoding="UTF-8"?>\n';
const REQUEST = getRequest('http://h:1/nix');

const errorXml = (code: string) => `${XML}<Error><Code>${code}</Code><Message>m</Message></Error>`;

async function* piecesOf(...pieces: readonly (string | Error)[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) {
    if (piece instanceof Error) throw piece;
    yield Buffer.from(piece);
  }
}

describe('an answer as a whole', () => {
  const ask = (answer: FakeAnswer) => withWholeBody(fakeTransport([answer]).send)(REQUEST);
  const bodyOf = async (answer: FakeAnswer) => (await gather((await ask(answer)).body)).toString();

  it('has all of its body', async () => {
    expect(await bodyOf({ body: piecesOf('ab', 'c') })).toBe('abc');
    expect(await bodyOf({ body: piecesOf() })).toBe('');
  });

  it('fails when it breaks off', async () => {
    await expect(ask({ body: piecesOf('ab', networkError('ECONNRESET')) })).rejects.toMatchObject({
      code: 'ECONNRESET',
    });
  });

  it.each([XML, `${XML}<Result>`, `${XML}<Result><A/>`, `${XML}<Result><A/></Resul`, ` ${XML} <Result><A></A>`])(
    'fails when it is half an XML: %j',
    async (text) => {
      await expect(ask({ body: piecesOf(text) })).rejects.toMatchObject({ code: 'ECONNRESET' });
      await expect(ask({ status: 404, refusal: text })).rejects.toMatchObject({ code: 'ECONNRESET' });
    },
  );

  it.each(['', 'text', `${XML}<Result></Result>`, `${XML}<Result/>`, `  ${XML}\n <Result><A/></Result>\n`])(
    'is what it is otherwise: %j',
    async (text) => {
      expect(await bodyOf({ body: piecesOf(text) })).toBe(text);
      const refused = await ask({ status: 404, refusal: text });
      expect([refused.status, refused.refusal]).toEqual([404, text]);
    },
  );

  it.each(['InternalError', 'SlowDown', 'ServiceUnavailable', 'RequestTimeout'])(
    'is tried again when it is the error %s with a good status',
    async (code) => {
      const { send, sent } = fakeTransport([{ body: piecesOf('  \n', errorXml(code)) }, { body: piecesOf('good') }]);
      const retry = createRetry({ patienceMs: 1_000, signal: new AbortController().signal, random: () => 0 });
      const response = await retry(withWholeBody(send))(REQUEST);
      expect((await gather(response.body)).toString()).toBe('good');
      expect(sent.length).toBe(2);
    },
  );

  it('is a refusal when it is another error with a good status', async () => {
    const text = errorXml('InvalidPart');
    expect(await ask({ body: piecesOf(text) })).toMatchObject({ status: 400, refusal: text });
  });

  it('has a limit', async () => {
    const mebibyte = 'x'.repeat(1024 * 1024);
    let given = 0;
    const endless = async function* () {
      for (; ; given++) yield Buffer.from(mebibyte);
    };
    await expect(ask({ body: endless() })).rejects.toMatchObject({
      code: 'E_REMOTE',
      message: '`http://h:1` answers with more than 16 MiB',
    });
    expect(given).toBe(16);
  });

  it('is looked at in a time that grows with its length, whatever it has', async () => {
    const started = performance.now();
    for (const piece of ['<', '<A', '</A>', '/>', ' ', '<Error><Code>', '>']) {
      await ask({ body: piecesOf(XML, '<A>', piece.repeat(4_000_000 / piece.length), '</A>') });
    }
    expect(performance.now() - started).toBeLessThan(30_000);
  });
});
