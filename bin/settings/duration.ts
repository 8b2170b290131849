/** Spans of time as people write them, such as `30d`. */

import { CarportError } from '../../lib/errors.js';

const UNITS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

/** Milliseconds of `90m`, `12h`, `30d` or `6w`; `undefined` for what is no such span. `0` is one. */
export function spanOf(text: string): number | undefined {
  if (text === '0') return 0;
  const span = /^(?<number>0|[1-9][0-9]{0,5})(?<unit>[smhdw])$/.exec(text)?.groups;
  return span && Number(span.number) * UNITS[span.unit as keyof typeof UNITS];
}

/** The same; throws for what is no span. `origin` is the option or setting that has it. */
export function parseSpan(text: string, origin: string): number {
  const span = spanOf(text);
  if (span !== undefined) return span;
  throw new CarportError('E_USAGE', `\`${text}\` (${origin}) is no span of time`, {
    hint: 'use one such as `45s`, `90m`, `12h`, `30d` or `6w`, or `0` for none',
  });
}
