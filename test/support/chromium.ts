import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { afterAll, beforeAll } from 'vitest';
import { describeWithPeer } from './peers.js';
import { missingProgram } from './programs.js';

/** `describe` for tests in headless Chromium: skipped without it, or failed with `CARPORT_REQUIRE_PEERS=1`. */
export function describeWithChromium(title: string, body: () => void): void {
  describeWithPeer(missingProgram('chromium'), title, body);
}

/** How a page is shown. */
export interface View {
  /** Pixels. */
  readonly width: number;
  readonly scheme: 'light' | 'dark';
  readonly scripts: boolean;
  /** Pretend to be a browser of another machine, as it tells of itself. */
  readonly machine?: { readonly userAgent: string; readonly platform: string; readonly architecture: string };
}

/** A page in Chromium. */
export interface Page {
  /** The value of an expression; promises are awaited. It runs also where the page's own scripts do not. */
  evaluate<T>(expression: string): Promise<T>;
  /** Presses and releases a key: `Tab`. */
  press(key: string): Promise<void>;
  /** The URLs that the page has asked for, its own first. */
  readonly requests: readonly string[];
  /** What the browser complained about: errors of scripts, content that the page's policy refused. */
  readonly complaints: readonly string[];
}

/** One Chromium for all tests of a suite; gives what opens a page in it. */
export function useChromium(): (url: string, view: View) => Promise<Page> {
  let browser: Browser | undefined;
  beforeAll(async () => {
    browser = await startChromium();
  });
  afterAll(() => browser?.stop());
  return (url, view) => openPage(browser!, url, view);
}

async function openPage(browser: Browser, url: string, view: View): Promise<Page> {
  const { targetId } = await browser.send<{ targetId: string }>('Target.createTarget', { url: 'about:blank' });
  const { sessionId } = await browser.send<{ sessionId: string }>('Target.attachToTarget', { targetId, flatten: true });
  const send = <T>(method: string, params: object = {}) => browser.send<T>(method, params, sessionId);
  const requests: string[] = [];
  const complaints: string[] = [];
  let loaded = () => {};
  const load = new Promise<void>((resolve) => {
    loaded = resolve;
  });
  browser.listen(sessionId, ({ method, params }) => {
    if (method === 'Page.loadEventFired') loaded();
    if (method === 'Network.requestWillBeSent') requests.push(params.request.url);
    if (method === 'Log.entryAdded') complaints.push(params.entry.text);
    if (method === 'Runtime.exceptionThrown') complaints.push(JSON.stringify(params.exceptionDetails));
  });
  for (const domain of ['Page', 'Network', 'Log', 'Runtime']) await send(`${domain}.enable`);
  await send('Emulation.setDeviceMetricsOverride', {
    width: view.width,
    height: 800,
    deviceScaleFactor: 1,
    mobile: view.width < 600,
  });
  await send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: view.scheme }] });
  await send('Emulation.setScriptExecutionDisabled', { value: !view.scripts });
  if (view.machine) await send('Emulation.setUserAgentOverride', agentOf(view.machine));
  await send('Page.navigate', { url });
  await load;
  // From here on for what the test runs: the scripts of a page that has loaded are not made up for.
  await send('Emulation.setScriptExecutionDisabled', { value: false });
  return {
    requests,
    complaints,
    async evaluate<T>(expression: string) {
      const { result, exceptionDetails } = await send<{ result: { value: T }; exceptionDetails?: object }>(
        'Runtime.evaluate',
        { expression, awaitPromise: true, returnByValue: true },
      );
      if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
      return result.value;
    },
    async press(key) {
      const code = { key, code: key, windowsVirtualKeyCode: key === 'Tab' ? 9 : 13 };
      await send('Input.dispatchKeyEvent', { type: 'keyDown', ...code, ...(key === 'Enter' ? { text: '\r' } : {}) });
      await send('Input.dispatchKeyEvent', { type: 'keyUp', ...code });
    },
  };
}

function agentOf({ userAgent, platform, architecture }: NonNullable<View['machine']>): object {
  const known = { platform, architecture, bitness: '64', platformVersion: '', model: '', mobile: false };
  return { userAgent, userAgentMetadata: { ...known, brands: [], fullVersionList: [] } };
}

interface Browser {
  send<T>(method: string, params: object, sessionId?: string): Promise<T>;
  listen(sessionId: string, listener: (message: Message) => void): void;
  stop(): Promise<void>;
}

/** A message of the DevTools protocol: an answer, which has an id, or an event. */
interface Message {
  readonly id?: number;
  readonly sessionId?: string;
  readonly method?: string;
  // biome-ignore lint/suspicious/noExplicitAny: every event has its own shape.
  readonly params?: any;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

/** The protocol through pipes, each message ended by a zero byte: no port that others on the machine could use. */
async function startChromium(): Promise<Browser> {
  const home = await mkdtemp(join(tmpdir(), 'carport-chromium-'));
  const child = spawn(
    'chromium',
    [
      '--headless',
      '--remote-debugging-pipe',
      // Root has no sandbox of Chromium's, and a container may have no user namespaces.
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--disable-background-networking',
      '--no-first-run',
      '--hide-scrollbars',
      `--user-data-dir=${home}`,
      'about:blank',
    ],
    { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'], env: { ...process.env, HOME: home } },
  );
  const ended = once(child, 'exit');
  const connection = connect(child);
  return {
    ...connection,
    async stop() {
      await connection.send('Browser.close', {}).catch(() => {});
      await ended;
      await rm(home, { recursive: true, force: true, maxRetries: 20 });
    },
  };
}

function connect(child: ChildProcess): Omit<Browser, 'stop'> {
  const [, , , requests, answers] = child.stdio as unknown as [null, null, null, Writable, Readable];
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  const listeners = new Map<string, (message: Message) => void>();
  let unread = Buffer.alloc(0);
  answers.on('data', (piece: Buffer) => {
    unread = Buffer.concat([unread, piece]);
    for (let end = unread.indexOf(0); end >= 0; end = unread.indexOf(0)) {
      receive(JSON.parse(unread.toString('utf8', 0, end)));
      unread = unread.subarray(end + 1);
    }
  });
  const fail = (error: Error) => {
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  requests.on('error', fail);
  child.on('error', fail);
  child.on('exit', () => fail(new Error('Chromium has ended.')));

  function receive(message: Message): void {
    if (message.id === undefined) {
      listeners.get(message.sessionId ?? '')?.(message);
      return;
    }
    const call = waiting.get(message.id);
    waiting.delete(message.id);
    if (message.error === undefined) call?.resolve(message.result);
    else call?.reject(new Error(message.error.message));
  }

  let last = 0;
  return {
    send: <T>(method: string, params: object, sessionId?: string) =>
      new Promise<T>((resolve, reject) => {
        const id = ++last;
        waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
        requests.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
      }),
    listen: (sessionId, listener) => listeners.set(sessionId, listener),
  };
}
