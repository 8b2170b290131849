import { CarportError } from '../lib/errors.js';

const UNITS = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

/** Milliseconds of `90m`, `12h`, `30d` or `6w`; `undefined` for what is no such span. */
export function spanOf(text: string): number | undefined {
  const span = /^(?<number>[1-9][0-9]{0,4})(?<unit>[mhdw])$/.exec(text)?.groups;
  return span && Number(span.number) * UNITS[span.unit as keyof typeof UNITS];
}

/** The same; throws for what is no span. `origin` is the option or setting that has it. `0` is one, too. */
export function parseSpan(text: string, origin: string): number {
  const span = text === '0' ? 0 : spanOf(text);
  if (span !== undefined) return span;
  throw new CarportError('E_USAGE', `\`${text}\` (${origin}) is no span of time`, {
    hint: 'use one such as `90m`, `12h`, `30d` or `6w`',
  });
}
