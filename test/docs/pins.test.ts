import { describe, expect, it } from 'vitest';
import { PIN_LIMITS } from '#cache/pins/pin.js';
import { codeBlocks, readDocument } from '../support/markdown.js';
import { parsePin, pinMessage, renderPin } from '../support/pins.js';

describe('docs/pins.md', () => {
  const page = readDocument('docs/pins.md');
  const example = codeBlocks(page).find(({ language }) => language === 'json')!.text;
  const fields = [...page.matchAll(/^\| `(\w+)` \| /gm)]
    .map(([, field]) => field!)
    .filter((field) => !field.includes('@'));

  it('shows a pin as it is written', () => {
    expect(JSON.parse(renderPin(parsePin(example)))).toEqual(JSON.parse(example));
    expect(Object.keys(JSON.parse(renderPin(parsePin(example))))).toEqual(Object.keys(JSON.parse(example)));
  });

  it('has every field in its order, and says what is signed', () => {
    const pin = JSON.parse(example) as Record<string, unknown>;
    const documented = fields.filter((field) => field in pin);
    expect(documented).toEqual(Object.keys(pin));
    const signed = Object.fromEntries(
      documented.filter((field) => field !== 'signatures').map((field) => [field, pin[field]]),
    );
    expect(pinMessage(parsePin(example))).toBe(`carport-pin\n${JSON.stringify(signed)}`);
  });

  it('names the limits', () => {
    expect(page).toContain(`1 to ${PIN_LIMITS.paths}`);
    expect(page).toContain(`${PIN_LIMITS.bytes / 1024 / 1024} MiB`);
  });
});
