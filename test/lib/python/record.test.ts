import { expect, test } from 'vitest';
import { parseRecord } from '#lib/python/record.js';

test('cells in quotes have commas and quotes of their own, and an end', () => {
  expect(parseRecord('x', '"a, ""b"".py",,3\n').map(({ path }) => path)).toEqual(['a, "b".py']);
  for (const cell of ['""'.repeat(4 << 20), 'a'.repeat(8 << 20)]) {
    expect(() => parseRecord('x', `"${cell}",,\n`)).toThrow('has a line that is no CSV');
  }
});
