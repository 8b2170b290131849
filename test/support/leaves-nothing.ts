/** Files of tests share processes: one that leaves behind what others would see fails. Loaded for each file. */

import { afterAll, expect, vi } from 'vitest';

const RealDate = Date;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;
const RUNNING: readonly string[] = ['TCPServerWrap', 'PipeServerWrap', 'ProcessWrap'];

/** For servers and programs to end, on a busy machine. */
const PATIENCE = { timeout: 60_000, interval: 20 };

/** What a process has one of. */
const processState = () => ({
  directory: process.cwd(),
  umask: process.umask(),
  hasRealClock: Date === RealDate && !vi.isFakeTimers(),
});

/** What keeps a process alive, and what hears its signals: that ends with the programs that it has started. */
const activity = () => ({
  running: process.getActiveResourcesInfo().filter((name) => RUNNING.includes(name)),
  listeners: SIGNALS.map((signal) => process.listenerCount(signal)),
});

/** The names alone are shown of what has changed: there are secrets among the values. */
const changedVariables = (before: NodeJS.ProcessEnv) =>
  Object.keys({ ...before, ...process.env }).filter((name) => before[name] !== process.env[name]);

const before = { state: processState(), activity: activity(), environment: { ...process.env } };

// Hooks run from the last to the first that was declared: after those of the file.
afterAll(async () => {
  expect(processState(), 'this file of tests leaves the process otherwise than it was').toEqual(before.state);
  expect(changedVariables(before.environment), 'this file of tests changes the environment').toEqual([]);
  const message = 'this file of tests leaves something that runs';
  await vi.waitFor(() => expect(activity(), message).toEqual(before.activity), PATIENCE);
});
