/** References to values of pins, such as `toolchain@previous`. */

import { CarportError } from '../../lib/errors.js';
import { isPinName, type Pin, type PinValue } from './pin.js';
import { parseTime } from './time.js';

/** How a pin is asked for: `toolchain`, `toolchain@previous`, `toolchain@2026-11-01`. */
export interface PinReference {
  /** As it was typed. */
  readonly text: string;
  readonly name: string;
  /** The value before the present one, or the one that held at a time (milliseconds); absent for the present one. */
  readonly at?: 'previous' | number;
}

const END_OF_DAY = '23:59:59.999';

/** Reads a pin's name and what may follow it; `undefined` when `text` is no such thing. A wrong selector throws. */
export function parsePinReference(text: string): PinReference | undefined {
  const at = text.indexOf('@');
  const name = at < 0 ? text : text.slice(0, at);
  if (!isPinName(name)) return undefined;
  if (at < 0) return { text, name };
  const selector = text.slice(at + 1);
  if (selector === 'previous') return { text, name, at: 'previous' };
  const time = parseTime(selector, END_OF_DAY);
  if (time !== undefined) return { text, name, at: time };
  throw new CarportError('E_USAGE', `\`${text}\`: \`${selector}\` is not a value of a pin that can be asked for`, {
    hint: `use \`${name}@previous\`, a day such as \`${name}@2026-11-01\`, or a time such as \`${name}@2026-11-01T12:00:00Z\``,
  });
}

/** What a reference means in a pin. */
export function selectValue(pin: Pin, { text, at }: PinReference): PinValue {
  const values = [pin, ...pin.history];
  const value =
    at === undefined ? pin : at === 'previous' ? values[1] : values.find((one) => Date.parse(one.since) <= at);
  if (value) return value;
  const why =
    at === 'previous'
      ? 'it never stood for anything else, as far as its history tells'
      : `its history goes back to ${values.at(-1)!.since}`;
  throw new CarportError('E_NOT_FOUND', `there is no \`${text}\``, {
    cause: new Error(why),
    hint: `\`carport pin ls ${pin.name} --history --from CACHE\` prints what there is`,
  });
}
