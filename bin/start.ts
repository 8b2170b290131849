/** What a process does before the program is there: what is answered at once, what Nix is asked meanwhile, a push that has nothing to do. */

import * as nodeModule from 'node:module';
import { loadBundle, tuneEngine } from './bundle.js';
import type { Context } from './cli/context.js';
import { quickAnswer } from './help/quick.js';
import type { Ahead } from './push/ahead.js';

type Program = Pick<typeof import('./main.js'), 'main' | 'explain'>;

/** Node makes its streams when they are first asked for. */
const context: Context = {
  env: process.env,
  get stdin() {
    return process.stdin;
  },
  get stdout() {
    return process.stdout;
  },
  get stderr() {
    return process.stderr;
  },
  cwd: () => process.cwd(),
};

/** Runs a command line in this process; `loadModules` gives the program where it was not put together. */
export async function start(args: readonly string[], loadModules: () => Promise<Program>): Promise<void> {
  const answer = await quickAnswer(args);
  if (answer === undefined) return run(args, loadModules);
  // Who reads may have had enough.
  const explain = async (cause: Error) => (await load(loadModules)).explain(cause, context);
  process.stdout.on('error', (error: NodeJS.ErrnoException) => error.code !== 'EPIPE' && explain(error)).write(answer);
}

async function run(args: readonly string[], loadModules: () => Promise<Program>): Promise<void> {
  // What cannot be known ahead is asked when the program is there.
  const { answers, isLikelyDone } = await lookAhead(args).catch((): Ahead => ({ isLikelyDone: false }));
  const early = isLikelyDone ? loadBundle('early')?.exports : undefined;
  const said = await early?.pushEarly(args, { env: context.env, cwd: context.cwd, answers });
  if (said === undefined) await (await load(loadModules)).main(args, { ...context, answers });
  else await new Promise((resolve) => process.stderr.on('error', resolve).write(said, resolve));
  // All is written. To end as it comes takes Node some milliseconds more, and would wait for a program that nobody waits for.
  process.exit();
}

async function lookAhead(args: readonly string[]): Promise<Ahead> {
  // Others need nothing of it, and it loads cryptography.
  if (args[0] !== 'push') return { isLikelyDone: false };
  return (await import('./push/ahead.js')).startAhead(args, context.env);
}

async function load(loadModules: () => Promise<Program>): Promise<Program> {
  tuneEngine();
  const bundle = loadBundle('main');
  if (bundle) return bundle.exports;
  // Since Node 22.
  if ('enableCompileCache' in nodeModule) (nodeModule.enableCompileCache as () => void)();
  return loadModules();
}
