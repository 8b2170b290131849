/** The first bytes of a stream, looked at before it is read. */

/** The first bytes, at least `size` of them unless there are fewer, and the stream with them. */
export async function peek(
  source: AsyncIterable<Uint8Array>,
  size: number,
): Promise<{ readonly head: Uint8Array; readonly whole: AsyncIterable<Uint8Array> }> {
  const pieces = source[Symbol.asyncIterator]();
  let head: Uint8Array = new Uint8Array();
  while (head.length < size) {
    const { value, done } = await pieces.next();
    if (done) break;
    head = Buffer.concat([head, value]);
  }
  async function* whole(): AsyncGenerator<Uint8Array> {
    try {
      if (head.length > 0) yield head;
      for (let { value, done } = await pieces.next(); !done; { value, done } = await pieces.next()) yield value;
    } finally {
      // Not awaited: the source may never answer.
      pieces.return?.().catch(() => undefined);
    }
  }
  return { head, whole: whole() };
}
