/** The command `hook`: paths into the queue, a process that drains it, and the script that does so for Nix. */

import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { CarportError } from '../../lib/errors.js';
import { startDetached } from '../../lib/process/child.js';
import { stateDirectory } from '../../lib/state-directory.js';
import { type Context, note, workingDirectory, writeLines } from '../cli/context.js';
import { loadPushKeys } from '../push/keys.js';
import { KEY_VARIABLE } from '../settings/held-key.js';
import { requireCache } from '../settings/places.js';
import { isDrained } from './drain-lock.js';
import type { HookOptions } from './hook-command.js';
import { openQueue, type Queue } from './queue.js';

/** Puts paths into the queue; or drains it, or prints the script. */
export async function run(paths: readonly string[], options: HookOptions, context: Context): Promise<void> {
  requireCache(options.settings.to);
  if (options.drain) return (await import('./drain.js')).drain(options, context);
  const queue = queueOf(options, context);
  if (options.printScript) return writeLines(context.stdout, await scriptFor(queue, options, context));
  // Nix's first releases with hooks name the derivation only.
  const named = paths.length > 0 ? paths : wordsOf(context.env.OUT_PATHS || context.env.DRV_PATH);
  if (named.length === 0) {
    throw new CarportError('E_USAGE', 'there is nothing to push: neither paths nor OUT_PATHS are given', {
      hint: 'Nix sets OUT_PATHS for its `post-build-hook`; `--drain` pushes what is in the queue',
    });
  }
  await queue.add(named);
  if (await isDrained(queue.directory)) return;
  const { heldKeys, env } = context;
  const [program, ...args] = [...ownCommand(), ...argumentsWithout('--drain'), '--drain'];
  await startDetached({
    ...{ program: program!, arguments: args, directory: workingDirectory(context) },
    env: heldKeys ? { ...env, [KEY_VARIABLE]: heldKeys.read().join(' ') } : env,
    log: join(queue.directory, '.log'),
  });
  note(context, options, `${named.length} queued`);
}

/** The queue that the options mean. */
export function queueOf({ settings }: Pick<HookOptions, 'settings'>, { env }: Context): Queue {
  return openQueue(env, { to: settings.to.texts.at(-1) ?? '', store: settings.store.value });
}

function wordsOf(text = ''): readonly string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}

/** What started this program: Node and its script, or one file. */
function ownCommand(): readonly string[] {
  const script = process.argv[1];
  return script === undefined || script === process.execPath ? [process.execPath] : [process.execPath, script];
}

function argumentsWithout(...flags: readonly string[]): readonly string[] {
  return process.argv.slice(2).filter((word) => !flags.includes(word));
}

/**
 * A script that costs a build a millisecond: Node is started for the queue as a whole and not for each path. Whatever goes
 * wrong, it succeeds: else Nix would stop the build.
 */
async function scriptFor(queue: Queue, options: HookOptions, context: Context): Promise<readonly string[]> {
  const keys = await loadPushKeys(options, context);
  const { to, 'secret-key-files': files } = options.settings;
  if (context.heldKeys || files.value.some((source) => typeof source !== 'string' || source === '-')) {
    throw new CarportError('E_USAGE', 'the hook needs the key in a file: it runs when this command is over', {
      hint: 'give the file: `--secret-key /etc/nix/cache.sec`, which the user that runs `nix-daemon` can read',
    });
  }
  const more = [
    ...(to.origin.kind === 'option' ? [] : ['--to', to.texts.at(-1)!]),
    ...(files.origin.kind === 'option' || keys.length === 0
      ? []
      : files.texts.flatMap((text) => ['--secret-key', text])),
  ];
  const command = [...ownCommand(), ...argumentsWithout('--print-script'), ...more, '--drain'].map(quoted).join(' ');
  return `#!/bin/sh
# For post-build-hook: hands what Nix has built to carport, and lets the build go on, whatever happens.
queue=${quoted(queue.directory)}
{
  set -f
  mkdir -p -m 700 "$queue"
  for path in \${OUT_PATHS:-$DRV_PATH}; do
    : > "$queue/\${path##*/}"
  done
  if read -r pid boot < "$queue/.drainer" && read -r now < /proc/sys/kernel/random/boot_id && [ "$boot" = "$now" ] && kill -0 "$pid"; then
    exit 0
  fi
  PATH=${quoted(context.env.PATH ?? '')}
  HOME=\${HOME:-${quoted(homedir())}}
  XDG_STATE_HOME=${quoted(dirname(stateDirectory(context.env)))}
  export PATH HOME XDG_STATE_HOME
  unset OUT_PATHS DRV_PATH
  cd ${quoted(workingDirectory(context))} || cd /
  detached=$(command -v setsid)
  $detached ${command} < /dev/null > "$queue/.log" 2>&1 &
} > /dev/null 2>&1
exit 0`.split('\n');
}

function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
