/** JSON of exactly one shape. */

import * as v from 'valibot';
import { formatError } from './errors.js';

/**
 * Parses JSON of exactly this shape. `what` is the thing parsed, for the `E_FORMAT` that is thrown for anything else. Fields
 * of what it gives are in the schema's order.
 */
export function parseStrictJson<Schema extends v.GenericSchema>(
  what: string,
  text: string,
  schema: Schema,
): v.InferOutput<Schema> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw formatError(what, 'is not JSON', { cause });
  }
  return checkShape(what, json, schema);
}

/**
 * Gives a value of exactly this shape, its fields in the schema's order. `what` is the thing that has it, for the `E_FORMAT`
 * that is thrown for anything else.
 */
export function checkShape<Schema extends v.GenericSchema>(
  what: string,
  value: unknown,
  schema: Schema,
): v.InferOutput<Schema> {
  const parsed = v.safeParse(schema, value, { abortEarly: true });
  if (!parsed.success) throw formatError(what, explain(parsed.issues[0]));
  return parsed.output;
}

function explain(issue: v.BaseIssue<unknown>): string {
  const path = v.getDotPath(issue);
  if (path === null) return 'is not an object';
  const field = quoted(path);
  // Of an object's keys valibot says what it expected, and `never` for one too many.
  if (issue.type === 'strict_object' && issue.expected === 'never') return `has the unknown field ${field}`;
  if (issue.type === 'strict_object' && issue.received === 'undefined') return `has no field ${field}`;
  return `${field}: ${oneLine(issue.message)}`;
}

const NAME_SHOWN = 60;
const MESSAGE_SHOWN = 200;

/** Names of fields are anybody's text. */
function quoted(path: string): string {
  return `\`${shortened(JSON.stringify(path).slice(1, -1), NAME_SHOWN)}\``;
}

/** Messages have what was found. */
function oneLine(text: string): string {
  return shortened(text.replace(/[\x00-\x1f]/g, '?'), MESSAGE_SHOWN);
}

function shortened(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length)}…` : text;
}
