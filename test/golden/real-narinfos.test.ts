import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseNarInfo, renderNarInfo } from '#lib/nix/narinfo.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { parsePublicKey } from '#lib/signing/key.js';
import { verifyPath } from '#lib/signing/signature.js';
import { SHARED_GOLDEN } from '../support/golden.js';

const KEY = parsePublicKey('cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=');

/** Records apart by blank lines; each ends with a newline. */
function records(): string[] {
  const text = readFileSync(join(SHARED_GOLDEN!, 'narinfo', 'cache.nixos.org.txt'), 'latin1');
  return text
    .split(/\n\n+/)
    .filter((record) => record.trim() !== '')
    .map((record) => `${record.trimEnd()}\n`);
}

const where = SHARED_GOLDEN ? '' : ': skipped, ../shared/golden is not there';

describe.skipIf(!SHARED_GOLDEN)(`narinfos of the real world${where}`, () => {
  it('are all there', () => {
    expect(records()).toHaveLength(196);
  });

  it('render to the same bytes', () => {
    for (const record of records()) expect(renderNarInfo(parseNarInfo(record))).toBe(record);
  });

  it('are signed by their cache', () => {
    for (const record of records()) {
      const info = parseNarInfo(record);
      expect(verifyPath(info, [KEY]), info.path).toEqual({ state: 'valid', keyName: 'cache.nixos.org-1' });
    }
  });

  it('are not signed any more when a signed field is changed', () => {
    for (const record of records()) {
      const info = parseNarInfo(record);
      expect(verifyPath({ ...info, narSize: info.narSize + 1 }, [KEY]).state, info.path).toBe('invalid');
      const references = info.references.slice(1);
      if (info.references.length > 0) expect(verifyPath({ ...info, references }, [KEY]).state).toBe('invalid');
    }
  });

  it('keep the field `System`, which Nix no longer writes', () => {
    const kept = records().flatMap((record) => parseNarInfo(record).unknownFields);
    expect(kept.map(({ key }) => key)).toEqual(['System']);
  });

  it('are of different paths', () => {
    const hashParts = records().map((record) => hashPartOf(parseNarInfo(record).path));
    expect(new Set(hashParts).size).toBe(196);
  });
});
