/** A form with one file, as browsers send it, of a size that is known before. Source: RFC 7578. */

import { randomBytes } from 'node:crypto';
import type { AssetContent } from './contract.js';

/** A body that can be sent again, and the header that tells what it is. */
export interface FormBody {
  readonly contentType: string;
  readonly body: { readonly size: number; open(): AsyncIterable<Uint8Array> };
}

/** The form. Its boundary is in no file, but for one chance in 2^128. */
export function formOf(field: string, { name, size, open }: AssetContent): FormBody {
  const boundary = `carport-${randomBytes(16).toString('hex')}`;
  const head = Buffer.from(
    `--${boundary}\r\ncontent-disposition: form-data; name="${field}"; filename="${quoted(name)}"\r\ncontent-type: application/octet-stream\r\n\r\n`,
  );
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  async function* whole(): AsyncGenerator<Uint8Array> {
    yield head;
    yield* open();
    yield tail;
  }
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    body: { size: head.length + size + tail.length, open: whole },
  };
}

/** As HTML has it. */
function quoted(name: string): string {
  return name.replaceAll('"', '%22').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}
