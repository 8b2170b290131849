/** What a page may load and run: nothing but the style and the script that it has in itself. */

import { createHash } from 'node:crypto';
import { type Markup, markupOf } from '../markup.js';

/** The content security policy of a page: markup that got in would be inert. */
export function policyOf(style: Markup, script: Markup): string {
  return [
    "default-src 'none'",
    'img-src data:',
    `style-src ${sourceHash(style)}`,
    `script-src ${sourceHash(script)}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
}

function sourceHash(content: Markup): string {
  return `'sha256-${createHash('sha256').update(markupOf(content)).digest('base64')}'`;
}
