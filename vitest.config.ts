import { defineConfig } from 'vitest/config';

// Tests run the compiled output (package.json's `imports`), which is what ships: worker threads cannot load TypeScript.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    reporters: ['default', './test/support/count-reporter.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Many tests wait: for servers, pauses and programs.
    maxWorkers: 2,
    // Real programs on a machine that others use: what fails twice is broken.
    retry: process.env.CI ? 1 : 0,
    env: { AWS_EC2_METADATA_DISABLED: 'true', NO_COLOR: '1' },
  },
});
