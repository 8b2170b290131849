import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { sources, transpileSources } from './test/support/transpile.js';

// Tests run the compiled output (package.json's `imports`), which is what ships: worker threads cannot load TypeScript.
transpileSources();

/** What a test file needs, by its name: another process, a peer, or a long time. The others are quick. */
const TIERS = ['cli', 'peer', 'slow'];

/** The files that take long come first: at the end no worker has a long one left to itself. */
class QuickLast extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const order = ['peer', 'cli', 'slow', 'quick'];
    const rank = ({ project }: TestSpecification) => order.indexOf(project.name);
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

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
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 60_000 } },
    // One more than the processors of the smallest machine: many tests wait, for servers, pauses and programs.
    maxWorkers: 3,
    sequence: { sequencer: QuickLast },
    env: { AWS_EC2_METADATA_DISABLED: 'true', AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true', NO_COLOR: '1' },
    // Files share what they import, and leave nothing behind: a process for each would take two minutes of processor time.
    isolate: false,
    setupFiles: './test/support/leaves-nothing.ts',
    projects: [
      { extends: true, test: { name: 'quick', include: ['test/**/*.test.ts'], exclude: tierFiles(TIERS) } },
      ...TIERS.map((tier) => ({ extends: true as const, test: { name: tier, include: tierFiles([tier]) } })),
    ],
  },
});

function tierFiles(tiers: readonly string[]): string[] {
  return tiers.map((tier) => `test/**/*.${tier}.test.ts`);
}
