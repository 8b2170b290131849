import { writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo, Server as RawServer } from 'node:net';
import { expect, onTestFinished } from 'vitest';
import type { SampleStore } from './samples.js';
import type { Ran, Sandbox } from './sandbox.js';

let stores = 0;

/** Every command that talks to a cache, as a user types it. What is in the store of a pull already would need no cache. */
export function cacheCommands(url: string, samples: SampleStore, box: Sandbox) {
  const { path } = samples.top;
  return {
    push: ['push', path, '--store', samples.root, '--to', url],
    pull: ['pull', path, '--store', box.path(`pulled-${stores++}`), '--from', url, '--allow-unsigned'],
    info: ['cache', 'info', url],
    ls: ['cache', 'ls', url],
    config: ['cache', 'config', url],
    init: ['cache', 'init', url],
    erase: ['cache', 'erase', url, '--yes'],
  } as const satisfies Record<string, readonly string[]>;
}

export interface ExpectedError {
  readonly code: string;
  readonly exitCode: number;
  /** Parts of the message, its causes and its hint. */
  readonly message: string | RegExp;
  readonly cause?: string | RegExp;
  readonly hint?: string | RegExp;
}

/** What must be in no output: signatures, headers, and the secrets of this environment. */
function expectNoSecrets(text: string, env: Readonly<Record<string, string>>): void {
  const secrets = [env.AWS_SECRET_ACCESS_KEY, env.AWS_SESSION_TOKEN].filter((secret) => secret !== undefined);
  for (const secret of secrets) expect(text.includes(secret), 'a secret was printed').toBe(false);
  expect(text).not.toMatch(/authorization:|Signature=|AWS4-HMAC|security-token|Basic [A-Za-z0-9+/=]{8}|SEKRET/i);
}

/** Runs a command that must fail so, as text with stack traces, and as JSON; nothing may come out of it. */
export async function expectFailure(
  box: Sandbox,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  expected: ExpectedError,
): Promise<void> {
  // The same environment, so that both run in this process at once.
  const surroundings = { env: { ...env, CARPORT_PROGRESS: 'plain' } };
  const [text, json] = await Promise.all([
    box.carport([...args, '-vv'], surroundings),
    box.carport([...args, '--json'], surroundings),
  ]);
  const name = args.slice(0, 2).join(' ');
  const error = JSON.parse(json.stderr.trimEnd().split('\n').at(-1)!);
  expect({ name, ...error }).toEqual({
    ...{ name, type: 'error', code: expected.code, exitCode: expected.exitCode },
    message: matching(expected.message),
    causes: expected.cause === undefined ? expect.any(Array) : expect.arrayContaining([matching(expected.cause)]),
    hint: expected.hint === undefined ? null : matching(expected.hint),
  });
  expect([name, text.exitCode, json.exitCode]).toEqual([name, expected.exitCode, expected.exitCode]);
  expect(text.stderr).toContain(`error[${expected.code}]: ${error.message}\n`);
  expect(text.stderr).toMatch(/\n {4}at /);
  for (const { stdout, stderr } of [text, json] satisfies Ran[]) {
    expect(stdout).toBe('');
    expectNoSecrets(stderr, env);
  }
}

/** Runs a command that must succeed, however much it says. */
export async function expectSuccess(
  box: Sandbox,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<void> {
  for (const more of [['-vv'], ['--json'], ['-vv', '--json']]) {
    const { stdout, stderr } = await box.succeed([...args, ...more], { env: { ...env, CARPORT_PROGRESS: 'plain' } });
    expectNoSecrets(stdout + stderr, env);
  }
}

function matching(wanted: string | RegExp): string {
  return typeof wanted === 'string' ? expect.stringContaining(wanted) : expect.stringMatching(wanted);
}

/** Listens until the test ends; gives the port. */
export async function listen(server: Server | RawServer): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, resolve));
  onTestFinished(() => {
    if ('closeAllConnections' in server) server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** A web server for one test; gives its URL. */
export async function serve(answer: RequestListener): Promise<string> {
  return `http://localhost:${await listen(createServer(answer))}`;
}

/** Code that runs in carport's process before carport does, as a part of its environment. */
export async function preload(box: Sandbox, name: string, code: string): Promise<Readonly<Record<string, string>>> {
  const file = box.path(`${name}.mjs`);
  await writeFile(file, code);
  return { NODE_OPTIONS: `--import=${file}` };
}

/** A clock that is so many hours ahead, for `preload`. */
export function clockAhead(hours: number): string {
  return `
    const [Real, shift] = [Date, ${hours} * 3600000];
    globalThis.Date = class extends Real {
      constructor(...args) { super(...(args.length === 0 ? [Real.now() + shift] : args)); }
      static now() { return Real.now() + shift; }
    };`;
}
