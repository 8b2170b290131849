/** Rows of a command's list of arguments: what help says of each, and the type and value that the command gets. */

import { Argument } from 'commander';

/** An argument of a command; `V` is the type of its value. */
export interface ArgumentRow<V = unknown> {
  readonly declared: Argument;
  read(given: string | readonly string[] | undefined): V;
}

interface ArgumentDetails {
  /** What makes the value of the text. It may be loaded only then: help needs no parsers. */
  readonly parse?: (text: string, place: string) => unknown;
  readonly choices?: readonly string[];
  readonly default?: string;
}

type ParsedOne<D> = D extends { parse: (text: string, place: string) => infer T }
  ? T
  : D extends { choices: readonly (infer C)[] }
    ? C
    : string;
type ValueOf<A extends string, D> = A extends `${string}...${string}`
  ? readonly string[]
  : A extends `<${string}` | (D extends { default: string } ? string : never)
    ? ParsedOne<D>
    : ParsedOne<D> | undefined;

/** What a command gets of its arguments, in their order. */
export type ArgumentsOf<T extends readonly ArgumentRow[]> = {
  -readonly [I in keyof T]: T[I] extends ArgumentRow<infer V> ? Awaited<V> : never;
};

/** An argument: `<name>` must be there, `[name]` need not, and `<name...>` may be several, which are texts as they are. */
export function argument<const A extends string, const D extends ArgumentDetails = object>(
  term: A,
  description: string,
  details?: D,
): ArgumentRow<ValueOf<A, D>>;
export function argument(term: string, description: string, details: ArgumentDetails = {}): ArgumentRow {
  const { parse, choices, default: fallback } = details;
  const declared = new Argument(term, description);
  if (choices) declared.choices(choices);
  if (fallback !== undefined) declared.default(fallback);
  const read: ArgumentRow['read'] = (given) => (parse && typeof given === 'string' ? parse(given, term) : given);
  return { declared, read };
}
