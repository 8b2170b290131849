/** A form with fields and a file, which is streamed, and of a size that is known before (RFC 7578). */

import { createHash } from 'node:crypto';
import { restartable } from '../../../lib/http/body.js';
import type { RequestBody } from '../../../lib/http/transport.js';
import type { FormField } from './fields.js';

/** A body that can be sent again, and the header that tells what it is. */
export interface Form {
  readonly contentType: string;
  readonly body: RequestBody;
}

/** The form. Its boundary follows from the fields, which have the file's hash: nobody can have put it into the file. */
export function formOf(
  fields: readonly FormField[],
  file: { readonly name: string; readonly path: string; readonly size: number },
): Form {
  const boundary = `carport-${createHash('sha256').update(JSON.stringify(fields)).digest('hex').slice(0, 40)}`;
  const parts = fields.map(
    ([name, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(name)}"\r\n\r\n${value}\r\n`,
  );
  const head = Buffer.from(
    `${parts.join('')}--${boundary}\r\nContent-Disposition: form-data; name="content"; filename="${quoted(file.name)}"\r\nContent-Type: application/octet-stream\r\n\r\n`,
  );
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  const content = restartable(file);
  async function* whole(): AsyncGenerator<Uint8Array> {
    yield head;
    if (content instanceof Uint8Array) yield content;
    else yield* content.open();
    yield tail;
  }
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    body: { size: head.length + file.size + tail.length, open: whole },
  };
}

function quoted(text: string): string {
  return text.replaceAll('"', '%22').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}
