/** Answers to the SDK: whole, and with the status that they should have. */

import { Readable } from 'node:stream';
import { CarportError } from '../../errors.js';
import type { HttpResponse, Transport } from '../../http/transport.js';

/** A page of a listing has less than 2 MiB. */
const MAX_ANSWER = 16 * 1024 * 1024;

/** S3's codes for what another try may bring. */
const TRANSIENT_CODES = ['InternalError', 'SlowDown', 'ServiceUnavailable', 'RequestTimeout'];

/**
 * Reads answers to their end, as only short ones should be: one that breaks off, or half an XML, is a try that failed.
 * An error with a good status, as S3 sends for what takes long, gets the status that it should have had.
 */
export function withWholeBody(send: Transport): Transport {
  return async (request) => {
    const response = await send(request);
    const { status, refusal } = response;
    const bytes = refusal === undefined ? await readAll(response, request.url) : Buffer.of();
    const text = refusal ?? bytes.toString();
    if (status < 500 && isHalfXml(text)) {
      throw Object.assign(new Error(`the answer to ${request.method} is not whole`), { code: 'ECONNRESET' });
    }
    const root = rootOf(text);
    const named = root !== undefined && { root };
    if (status < 300 && root === 'Error') {
      const real = TRANSIENT_CODES.includes(errorCodeOf(text) ?? '') ? 503 : 400;
      return { ...response, ...named, status: real, refusal: text, body: Readable.from([]) };
    }
    return { ...response, ...named, body: Readable.from([bytes]) };
  };
}

async function readAll({ body }: HttpResponse, { protocol, host }: URL): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of body) {
    size += piece.length;
    if (size > MAX_ANSWER) {
      throw new CarportError('E_REMOTE', `\`${protocol}//${host}\` answers with more than 16 MiB`, {
        hint: 'no S3 API does that: check the endpoint',
      });
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** True for what begins as XML and does not end with the end of its first element. */
function isHalfXml(text: string): boolean {
  // While Amazon works on something it sends spaces.
  const xml = text.trim();
  if (!xml.startsWith('<?xml')) return false;
  const root = rootOf(xml);
  const isOneElement = xml.endsWith('/>') && xml.indexOf('>', xml.indexOf('>') + 1) === xml.length - 1;
  return root === undefined || !(xml.endsWith(`</${root}>`) || isOneElement);
}

/** The name of the first element. */
function rootOf(text: string): string | undefined {
  return /<([A-Za-z]\w*)/.exec(text)?.[1];
}

function errorCodeOf(text: string): string | undefined {
  return /<Code>([^<]*)<\/Code>/.exec(text)?.[1];
}
