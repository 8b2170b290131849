// Loaded by `node --import` into a program under test: at its end it writes what the main thread and the process needed.
import { readFileSync, writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

const INTERVAL_MS = 10;
const file = process.env.CARPORT_TEST_MEASURE;
if (isMainThread && file) measure();

function measure() {
  const delay = monitorEventLoopDelay({ resolution: INTERVAL_MS });
  delay.enable();
  let maxBlockedMs = 0;
  let last = { at: performance.now(), waited: waitedMs() };
  const tick = () => {
    const now = { at: performance.now(), waited: waitedMs() };
    // What it took to come round, without what the kernel made the thread wait for a processor: others have those, too.
    maxBlockedMs = Math.max(maxBlockedMs, now.at - last.at - (now.waited - last.waited));
    last = now;
  };
  setInterval(tick, INTERVAL_MS).unref();
  process.on('exit', () => {
    tick();
    // Not `resourceUsage`: what it gives begins with what the parent had.
    const [, kib] = /^VmHWM:\s*([0-9]+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
    const maxRss = Number(kib) * 1024;
    writeFileSync(file, JSON.stringify({ maxBlockedMs, maxDelayMs: delay.max / 1e6, maxRss }));
  });
}

/** How long the main thread was ready to run and did not get a processor. */
function waitedMs() {
  try {
    return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[1]) / 1e6;
  } catch {
    return 0;
  }
}
