/** The command `hook`: paths into the queue, a process that drains it, and the script that does so for Nix. */

import { stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { CarportError } from '../../lib/errors.js';
import { startDetached } from '../../lib/process/child.js';
import { stateDirectory } from '../../lib/state-directory.js';
import { placeOfNix } from '../../lib/store/nix/place.js';
import { NIX } from '../../lib/store/open.js';
import { type Context, note, workingDirectory, writeLines } from '../cli/context.js';
import { loadPushKeys } from '../push/keys.js';
import { descriptorOf, KEY_VARIABLE } from '../settings/held-key.js';
import { requireCache } from '../settings/places.js';
import { SETTINGS, type SettingKey } from '../settings/table.js';
import { isDrained } from './drain-lock.js';
import type { HookOptions } from './hook-command.js';
import { LOG, type Queue, queueOf } from './queue.js';

/** Puts paths into the queue; or drains it, or prints the script. */
export async function run(paths: readonly string[], options: HookOptions, context: Context): Promise<void> {
  requireCache(options.settings.to, 'to');
  if (options.drain) return (await import('./drain.js')).drain(options, context);
  const queue = queueOf(options, context.env);
  if (options.printScript) return writeLines(context.stdout, await scriptFor(queue, options, context));
  // Nix's first releases with hooks name the derivation only.
  const named = paths.length > 0 ? paths : wordsOf(context.env.OUT_PATHS || context.env.DRV_PATH);
  if (named.length === 0) {
    throw new CarportError('E_USAGE', 'there is nothing to push: neither paths nor OUT_PATHS are given', {
      hint: 'Nix sets OUT_PATHS for its `post-build-hook`; `--drain` pushes what is in the queue',
    });
  }
  refuseDescriptors(options);
  await queue.add(named);
  if (await isDrained(queue.directory)) return;
  const { heldKeys, env } = context;
  const [program, ...args] = drainCommand();
  await startDetached({
    ...{ program: program!, arguments: args, directory: workingDirectory(context) },
    env: heldKeys ? { ...env, [KEY_VARIABLE]: heldKeys.read().join(' ') } : env,
    log: join(queue.directory, LOG),
  });
  note(context, options, `${named.length} queued`);
}

function wordsOf(text = ''): readonly string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}

/** What started this program: Node and its script, or one file. */
function ownCommand(): readonly string[] {
  const script = process.argv[1];
  return script === undefined || script === process.execPath ? [process.execPath] : [process.execPath, script];
}

/** The command line that drains, with the options of this one and these; without its operands behind `--`. */
function drainCommand(more: readonly string[] = []): readonly string[] {
  const given = process.argv.slice(3);
  const end = given.indexOf('--');
  const options = (end < 0 ? given : given.slice(0, end)).filter((word) => word !== '--print-script');
  return [...ownCommand(), 'hook', '--drain', ...more, ...options];
}

/** Throws `E_USAGE` where a key comes through a descriptor: what drains the queue later does not have it. */
function refuseDescriptors({ settings }: Pick<HookOptions, 'settings'>): void {
  const sources = [...settings['secret-key-files'].value, ...requireCache(settings.to, 'to').secretKeyFiles];
  if (sources.some((source) => typeof source === 'string' && descriptorOf(source) !== undefined)) throw needsFile();
}

function needsFile(): CarportError {
  return new CarportError('E_USAGE', 'the hook needs the key in a file: it is read when this command is over', {
    hint: 'give the file: `--secret-key /etc/nix/cache.sec`, which the user that runs `nix-daemon` can read',
  });
}

/** Throws where the script would throw away what is built, or would write as root where somebody else can put links. */
async function requireUsableHere({ settings }: HookOptions, { env }: Context): Promise<void> {
  const store = settings.store.value;
  if ((store === undefined || store === NIX) && (await placeOfNix(env)) === undefined) {
    throw new CarportError('E_NOT_FOUND', 'the program `nix` is not on PATH, and the script would have the same PATH', {
      hint: 'sudo may have another PATH: `sudo env PATH="$PATH" carport hook … --print-script`; for carport\'s own store give `--store ROOT`',
    });
  }
  const directory = stateDirectory(env);
  const owner = await ownerOf(directory);
  if (owner === undefined || owner === process.geteuid?.()) return;
  throw new CarportError('E_USAGE', `\`${directory}\`, where the queue would be, is somebody else's`, {
    hint: 'print the script as the user that builds run as, with the HOME of that: `sudo -H carport hook … --print-script`',
  });
}

/** Who has a directory, or would have it if it were made: the owner of the nearest one that is there. */
async function ownerOf(path: string): Promise<number | undefined> {
  const stats = await stat(path).catch(() => undefined);
  if (stats) return stats.uid;
  return dirname(path) === path ? undefined : ownerOf(dirname(path));
}

/** What variables and files of settings say, as options: where the script runs they are not there. */
function settingsAsOptions(settings: HookOptions['settings']): readonly string[] {
  const keys = Object.keys(settings) as (SettingKey & keyof HookOptions['settings'])[];
  return keys.flatMap((key) => {
    const { texts, origin } = settings[key];
    if (origin.kind === 'option' || origin.kind === 'default') return [];
    return texts.flatMap((text) => [SETTINGS[key].option, text]);
  });
}

/**
 * A script that costs a build a millisecond: Node is started for the queue as a whole and not for each path. Whatever goes
 * wrong, it succeeds: else Nix would stop the build.
 */
async function scriptFor(queue: Queue, options: HookOptions, context: Context): Promise<readonly string[]> {
  if (context.heldKeys) throw needsFile();
  refuseDescriptors(options);
  await loadPushKeys(options, context);
  await requireUsableHere(options, context);
  const command = drainCommand(settingsAsOptions(options.settings)).map(quoted).join(' ');
  return `#!/bin/sh
# For post-build-hook: hands what Nix has built to carport, and lets the build go on, whatever happens.
queue=${quoted(queue.directory)}
{
  set -f
  mkdir -p -m 700 "$queue"
  # As root nothing is written where somebody else may have put links.
  [ -O "$queue" ] && [ ! -L "$queue" ] || exit 0
  for path in \${OUT_PATHS:-$DRV_PATH}; do
    # A shell ends when it cannot write for \`:\`, and the build with it.
    printf '' > "$queue/\${path##*/}"
  done
  if read -r pid boot start rest < "$queue/.drainer" && read -r now < /proc/sys/kernel/random/boot_id && [ "$boot" = "$now" ] &&
    read -r stat < "/proc/$pid/stat"; then
    # Others may have got its process id: the time of its start is behind the name in brackets.
    set -- \${stat##*) }
    [ "$1" != Z ] && [ "\${20}" = "$start" ] && exit 0
  fi
  PATH=${quoted(context.env.PATH ?? '')}
  HOME=\${HOME:-${quoted(homedir())}}
  XDG_STATE_HOME=${quoted(dirname(stateDirectory(context.env)))}
  export PATH HOME XDG_STATE_HOME
  unset OUT_PATHS DRV_PATH
  cd ${quoted(workingDirectory(context))} || cd /
  detached=$(command -v setsid)
  $detached ${command} < /dev/null >> "$queue/${LOG}" 2>&1 &
} > /dev/null 2>&1
exit 0`.split('\n');
}

function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
