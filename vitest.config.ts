import { defineConfig } from 'vitest/config';
import { sources, transpileSources } from './test/support/transpile.js';

// Tests run the compiled output (package.json's `imports`), which is what ships: worker threads cannot load TypeScript.
transpileSources();

/** What a test file needs, by its name: another process, a peer, or a long time. The others are quick. */
const TIERS = ['cli', 'peer', 'slow'];

export default defineConfig({
  plugins: [
    {
      name: 'sources',
      configureServer({ watcher }) {
        watcher.add([...sources()]);
        watcher.on('change', (path) => sources().has(path) && transpileSources());
      },
    },
  ],
  test: {
    reporters: ['default', './test/support/count-reporter.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Many tests wait: for servers, pauses and programs.
    maxWorkers: 2,
    // Real programs on a machine that others use: what fails twice is broken.
    retry: process.env.CI ? 1 : 0,
    env: { AWS_EC2_METADATA_DISABLED: 'true', NO_COLOR: '1' },
    projects: [
      { extends: true, test: { name: 'quick', include: ['test/**/*.test.ts'], exclude: tierFiles(TIERS) } },
      ...TIERS.map((tier) => ({ extends: true as const, test: { name: tier, include: tierFiles([tier]) } })),
    ],
  },
});

function tierFiles(tiers: readonly string[]): string[] {
  return tiers.map((tier) => `test/**/*.${tier}.test.ts`);
}
