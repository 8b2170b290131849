import { describe, expect, it } from 'vitest';
import { isPlainTag, patternOf } from '#release/catalog/plain-tags.js';
import { channelRule } from '#release/version.js';

const PLAIN = [
  '1.0.0',
  '1.0',
  '7',
  'v1',
  'v1.2',
  'V1.2.3',
  'v1.2.3.4',
  'release-1.2.3',
  'r_7',
  '2026.11.28',
  '2026-11-28',
];

describe('a plain tag', () => {
  it.each([...PLAIN, 'tool@1.0.0', '1.0.0+7', '1~2=3,4'])('is %s, and has a pattern for its like', (tag) => {
    expect(isPlainTag(tag)).toBe(true);
    const channelOf = channelRule(patternOf(tag));
    expect(channelOf(tag)).toBe('stable');
    expect(channelOf(tag.replaceAll(/[0-9]+/g, '987'))).toBe('stable');
    expect(channelOf(`${tag}-rc1`)).toBe('extra');
  });

  it.each([
    'v1.2.3-rc1',
    '1.0.0-beta.1',
    'nightly-2026-11-28',
    'rc1',
    'test-1.0.0',
    'handcrafted-1.0.0',
    'latest',
    'v1.2.x',
    '',
    'v',
    '1.0.0-',
  ])('is not %j', (tag) => {
    expect(isPlainTag(tag)).toBe(false);
  });
});
