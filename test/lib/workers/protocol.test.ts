import { describe, expect, it } from 'vitest';
import { NarRefusal } from '#lib/compression/nar-refusal.js';
import { CarportError } from '#lib/errors.js';
import { deserializeError, serializeError } from '#lib/workers/protocol.js';

/** An error as it arrives on the other side of a thread. */
function sent(error: unknown): Error {
  return deserializeError(structuredClone(serializeError(error)));
}

describe('an error that goes from thread to thread', () => {
  it('keeps its class, code, hint, stack and causes', () => {
    const root = Object.assign(new Error('root'), { code: 'ENOENT' });
    const middle = new CarportError('E_PROGRAM', 'middle', { cause: root });
    const error = new CarportError('E_INTEGRITY', 'outer', { hint: 'do this', cause: middle });
    const arrived = sent(error) as CarportError;
    expect(arrived).toBeInstanceOf(CarportError);
    expect(arrived).toMatchObject({ code: 'E_INTEGRITY', message: 'outer', hint: 'do this', stack: error.stack });
    expect(arrived.cause).toBeInstanceOf(CarportError);
    expect(arrived.cause).toMatchObject({ code: 'E_PROGRAM', message: 'middle', hint: undefined });
    const last = (arrived.cause as Error).cause;
    expect(last).not.toBeInstanceOf(CarportError);
    expect(last).toMatchObject({ code: 'ENOENT', message: 'root' });
  });

  it('goes on to be a refusal when it was one, with what was found', () => {
    const error = new NarRefusal('E_UNSUPPORTED', 'refused', 'as told', { hint: 'do this', cause: new Error('why') });
    const arrived = sent(error);
    expect(arrived).toBeInstanceOf(NarRefusal);
    expect(arrived).toMatchObject({ code: 'E_UNSUPPORTED', found: 'as told', hint: 'do this', stack: error.stack });
    expect(arrived.cause).toMatchObject({ message: 'why' });
    expect(sent(new CarportError('E_INTEGRITY', 'other'))).not.toBeInstanceOf(NarRefusal);
  });

  it('is no error of carport’s when it was none', () => {
    const arrived = sent(new TypeError('a bug'));
    expect(arrived).not.toBeInstanceOf(CarportError);
    expect(arrived.message).toBe('a bug');
    expect(arrived).not.toHaveProperty('code');
    expect(arrived.cause).toBeUndefined();
  });

  it('may be anything that was thrown', () => {
    expect(sent('text').message).toBe('text');
    expect(sent(undefined).message).toBe('undefined');
    expect((sent(new Error('x', { cause: 'text' })).cause as Error).message).toBe('text');
  });
});
