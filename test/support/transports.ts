import type { HttpRequest, HttpResponse, Transport } from '#lib/http/transport.js';

export interface FakeAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly refusal?: string;
  readonly body?: AsyncIterable<Uint8Array>;
}

/** An answer of nobody. `finish` is when its body was read or discarded. */
export function fakeResponse({ status = 200, headers = {}, refusal, body = nothing() }: FakeAnswer = {}) {
  let finish = () => {};
  const closed = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const response: HttpResponse = {
    ...{ status, headers, body, closed, discard: finish },
    ...(refusal !== undefined && { refusal }),
  };
  return { response, finish };
}

/** A transport that answers with one after the other, the last again and again, and keeps what it was sent. */
export function fakeTransport(answers: readonly (FakeAnswer | Error)[]) {
  const sent: HttpRequest[] = [];
  const send: Transport = async (request) => {
    const answer = answers[Math.min(sent.length, answers.length - 1)]!;
    sent.push(request);
    if (answer instanceof Error) throw answer;
    const { response } = fakeResponse(answer);
    response.discard();
    return response;
  };
  return { send, sent };
}

/** A failure as Node's client has it. */
export function networkError(code: string): Error {
  return Object.assign(new Error(`it failed: ${code}`), { code });
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
