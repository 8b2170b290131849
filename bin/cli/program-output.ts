/** What another program prints, without secrets. */

import { type Output, write } from './context.js';
import { redact } from './redact.js';

/** So much of a line is held back, at most, for what is behind it. */
const LONGEST = 65_536;

/**
 * Shows what a program prints, as it comes and in bytes of which each is kept, but for secrets. A pipe may cut one anywhere,
 * so that a line waits for its end. That nobody reads what a command prints must not stop it.
 */
export function showOn(output: Output): (bytes: AsyncIterable<Uint8Array>) => Promise<void> {
  const show = (text: string) => write(output, Buffer.from(redact(text), 'latin1')).catch(() => undefined);
  return async (printed) => {
    let held = '';
    try {
      for await (const bytes of printed) {
        held += Buffer.from(bytes).toString('latin1');
        const end = held.length > LONGEST ? held.length : lineEnd(held);
        if (end > 0) await show(held.slice(0, end));
        held = held.slice(end);
      }
    } catch {
      // It was closed from here.
    }
    if (held !== '') await show(held);
  };
}

/** The end of the last whole line, before a block in PEM that is not whole there; a line that is written over ends, too. */
function lineEnd(text: string): number {
  const end = Math.max(text.lastIndexOf('\n'), text.lastIndexOf('\r')) + 1;
  const block = text.lastIndexOf('-----BEGIN ', end);
  return block >= 0 && !/-----END [^-]*-----/.test(text.slice(block, end)) ? Math.min(end, block) : end;
}
