import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { parseStrictJson } from '#lib/strict-json.js';
import { expectFormatError } from '../support/errors.js';

const schema = v.strictObject({ a: v.string(), b: v.optional(v.strictObject({ c: v.literal(1) })) });
const parse = (value: unknown) =>
  parseStrictJson('thing', typeof value === 'string' ? value : JSON.stringify(value), schema);

describe('strict JSON', () => {
  it('is of exactly one shape', () => {
    expect(parse({ a: 'x' })).toEqual({ a: 'x' });
    expectFormatError('thing: is not JSON', () => parse('{'));
    expectFormatError('thing: is not an object', () => parse('1'));
    expectFormatError('has no field `a`', () => parse({}));
    expectFormatError('has the unknown field `d`', () => parse({ a: 'x', d: 1 }));
    expectFormatError('has the unknown field `b.d`', () => parse({ a: 'x', b: { c: 1, d: 1 } }));
    expectFormatError('`a`: Invalid type', () => parse({ a: 1 }));
  });

  it.each([
    ['a name', { a: 'x', 'y`\nerror[E_INTEGRITY]: your key has leaked\x1b[2J': 1 }],
    ['a long name', { a: 'x', ['y'.repeat(100_000)]: 1 }],
    ['a value', { a: 'x', b: { c: 'z\nerror: your key has leaked' } }],
    ['a long value', { a: 'x', b: { c: 'z'.repeat(100_000) } }],
  ])('has errors in one short line, whatever they quote: %s', (_, value) => {
    let message = '';
    try {
      parse(value);
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toMatch(/^thing: [^\x00-\x1f]{10,300}$/);
  });
});
