import { type ChildProcess, spawn } from 'node:child_process';
import { expect } from 'vitest';
import type { TestGarage } from './garage.js';
import { CARPORT, type Ran, type RunOptions, type Sandbox } from './sandbox.js';

/** Carport with the credentials of a Garage. Nothing secret of them may be printed. */
export interface GarageRuns {
  run(args: readonly string[], options?: RunOptions): Promise<Ran>;
  /** Must succeed. */
  succeed(args: readonly string[], options?: RunOptions): Promise<Ran>;
  /** Does not wait for its end. */
  start(args: readonly string[], options?: RunOptions): StartedRun;
}

export interface StartedRun {
  /** Sends a signal and waits for the end. */
  kill(signal: NodeJS.Signals): Promise<EndedRun>;
  readonly ended: Promise<EndedRun>;
}

export interface EndedRun {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function useGarageRuns(box: () => Sandbox, garage: () => TestGarage): GarageRuns {
  const withEnv = (options: RunOptions = {}): RunOptions => ({ ...options, env: { ...garage().env, ...options.env } });
  const checkOutput = (output: string) => {
    const { secretAccessKey } = garage().credentials;
    expect(output, 'a secret was printed').not.toContain(secretAccessKey);
    expect(output, 'a signature was printed').not.toMatch(/Signature=[0-9a-f]{8}/i);
  };
  const run: GarageRuns['run'] = async (args, options) => {
    const ran = await box().carport(args, withEnv(options));
    checkOutput(ran.stdout + ran.stderr);
    return ran;
  };
  return {
    run,
    async succeed(args, options) {
      const ran = await run(args, options);
      expect(ran.exitCode, `carport ${args.join(' ')}: ${ran.stderr}`).toBe(0);
      return ran;
    },
    start(args, options) {
      const { env, cwd = box().path('work') } = withEnv(options);
      const child = spawn(process.execPath, [CARPORT, ...args], {
        ...{ cwd, env: { ...box().env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
      });
      const ended = endOf(child).then((end) => {
        checkOutput(end.stdout + end.stderr);
        return end;
      });
      return {
        ended,
        kill(signal) {
          child.kill(signal);
          return ended;
        },
      };
    },
  };
}

function endOf(child: ChildProcess): Promise<EndedRun> {
  let [stdout, stderr] = ['', ''];
  child.stdout!.on('data', (bytes: Buffer) => {
    stdout += bytes;
  });
  child.stderr!.on('data', (bytes: Buffer) => {
    stderr += bytes;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exitCode, signal) => resolve({ exitCode, signal, stdout, stderr }));
  });
}
