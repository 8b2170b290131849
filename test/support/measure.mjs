// Loaded by `node --import` into a program under test: at its end it writes what the main thread and the process needed.
import { readFileSync, writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

const file = process.env.CARPORT_TEST_MEASURE;
if (isMainThread && file) {
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  process.on('exit', () => {
    // Not `resourceUsage`: what it gives begins with what the parent had.
    const [, kib] = /^VmHWM:\s*([0-9]+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
    const maxRss = Number(kib) * 1024;
    writeFileSync(file, JSON.stringify({ maxDelayMs: delay.max / 1e6, maxRss }));
  });
}
