/** Parsers of values by their kinds, for settings and for options: each wrong value has one wording, which names its place. */

import { CarportError } from '../../lib/errors.js';

/**
 * Makes a value of a text. Throws `E_USAGE` for what is none. `place` is where the text is from, for the error: an option,
 * a variable, or a key and its file.
 */
export type Parser<T> = (text: string, place: string) => T;

interface IntegerWords {
  /** What is counted, `jobs` for one. */
  readonly of?: string;
  readonly hint?: string;
}

/** A whole number in decimal digits, from `min` to `max`. */
export function integer(min: number, max: number, { of, hint }: IntegerWords = {}): Parser<number> {
  return (text, place) => {
    const number = Number(text);
    if (/^[0-9]+$/.test(text) && number >= min && number <= max) return number;
    const what = of === undefined ? 'a number' : `a number of ${of}`;
    throw wrong(`\`${text}\` (${place}) is not ${what} from ${min} to ${max}`, hint);
  };
}

/** One of a few names. `what` is what they are, such as `kind of forge`. */
export function oneOf<const T extends string>(values: readonly T[], what: string, more = ''): Parser<T> {
  return (text, place) => {
    const found = values.find((value) => value === text);
    if (found !== undefined) return found;
    const names = values.map((value) => `\`${value}\``).join(', ');
    throw wrong(`\`${text}\` (${place}) is no ${what}`, `it is one of ${names}${more}`);
  };
}

/** A text as it is. */
export function text(given: string): string {
  return given;
}

/** A text that is not blank, and that a program can take as an argument. `what` is what it is, such as `a command line`. */
export function notBlank(what: string): Parser<string> {
  return (given, place) => {
    if (given.trim() !== '' && !given.includes('\0')) return given;
    throw wrong(`\`${given}\` (${place}) is not ${what}`);
  };
}

const UNITS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

/** Milliseconds of `90m`, `12h`, `30d` or `6w`; `undefined` for what is no such span. `0` is one. */
export function durationOf(given: string): number | undefined {
  if (given === '0') return 0;
  const span = /^(?<number>0|[1-9][0-9]{0,5})(?<unit>[smhdw])$/.exec(given)?.groups;
  return span && Number(span.number) * UNITS[span.unit as keyof typeof UNITS];
}

/** A span of time, in milliseconds. */
export function duration(given: string, place: string): number {
  const milliseconds = durationOf(given);
  if (milliseconds !== undefined) return milliseconds;
  const hint = 'use one such as `45s`, `90m`, `12h`, `30d` or `6w`, or `0` for none';
  throw wrong(`\`${given}\` (${place}) is no span of time`, hint);
}

const SIZES: Readonly<Record<string, number>> = {
  ...{ B: 1, kB: 1e3, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 },
  ...{ KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 },
};

/** Bytes of `50GiB`, `1.5TB` or `200000000`. */
export function byteSize(given: string, place: string): number {
  const parts = /^(?<number>[0-9]{1,15}(\.[0-9]{1,6})?)(?<unit>[a-zA-Z]*)$/.exec(given)?.groups;
  const factor = parts && SIZES[parts.unit || 'B'];
  if (factor !== undefined) return Math.floor(Number(parts!.number) * factor);
  throw wrong(`\`${given}\` (${place}) is no size`, 'use one such as `50GiB`, `200MB` or a number of bytes');
}

function wrong(message: string, hint?: string): CarportError {
  return new CarportError('E_USAGE', message, hint === undefined ? {} : { hint });
}
