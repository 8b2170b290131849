/** Why a command was not started. */

import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { CarportError } from '../errors.js';
import { startChild } from '../process/child.js';
import { type Bubblewrap, bubblewrapCall, isPowerlessRoot } from './bubblewrap.js';

/** Settings of the kernel that forbid user namespaces, and what helps. */
const SETTINGS: readonly { readonly file: string; readonly forbids: string; readonly hint: string }[] = [
  {
    file: 'user/max_user_namespaces',
    forbids: '0',
    hint: 'let the administrator run `sysctl user.max_user_namespaces=10000`',
  },
  {
    file: 'kernel/unprivileged_userns_clone',
    forbids: '0',
    hint: 'let the administrator run `sysctl kernel.unprivileged_userns_clone=1`',
  },
  {
    file: 'kernel/apparmor_restrict_unprivileged_userns',
    forbids: '1',
    hint: "let the administrator load AppArmor's profile `bwrap-userns-restrict` (Ubuntu: package `apparmor-profiles`), or run `sysctl kernel.apparmor_restrict_unprivileged_userns=0`",
  },
];

/** What bubblewrap says of its first steps, when the kernel refuses one. */
const ABOUT_NAMESPACES = /namespace|[ug]id map|setgroups/i;

const IN_CONTAINER =
  'in a container, start that with `--security-opt seccomp=unconfined`, or with `--privileged`; elsewhere ask the administrator for user namespaces';

/** Why a command was not started, found out by trying again with less: bubblewrap has no codes for it. */
export async function explainNotStarted(
  program: string,
  mountOptions: readonly string[],
  command: readonly string[],
): Promise<CarportError> {
  // Any program that is surely there.
  const harmless = [process.execPath, '--version'];
  const namespace = await failureOf(await bubblewrapCall(program, ['--dev-bind', '/', '/'], '/', harmless));
  if (namespace !== undefined) return explainNoNamespace(program, namespace);
  const mounts = await failureOf(await bubblewrapCall(program, mountOptions, '/', harmless));
  if (mounts !== undefined) {
    return new CarportError('E_PROGRAM', '`bwrap` cannot mount the store at `/nix/store`', {
      cause: new Error(mounts),
      hint: 'check that the store, the working directory and the entries of `/` can be read',
    });
  }
  // Without a shield it is bubblewrap that executes the command; with one, the shield has said why not.
  return cannotExecute(command[0]!);
}

/** bubblewrap has failed with nothing to do; `said` is what it printed. */
async function explainNoNamespace(program: string, said: string): Promise<CarportError> {
  const cause = new Error(said);
  const found = await forbiddenBy();
  if (found !== undefined) {
    const setting = `\`${found.file.replace('/', '.')}\` is ${found.forbids}`;
    return new CarportError('E_PROGRAM', `user namespaces are not allowed here (${setting})`, {
      ...{ cause, hint: found.hint },
    });
  }
  if (ABOUT_NAMESPACES.test(said)) {
    return new CarportError('E_PROGRAM', 'user namespaces are not allowed here', { cause, hint: IN_CONTAINER });
  }
  return new CarportError('E_PROGRAM', `\`${program}\` does not work here`, {
    cause,
    hint: `\`${program} --dev-bind / / true\` must work; ${IN_CONTAINER}`,
  });
}

/** The kernel has refused to execute a file. */
export function cannotExecute(command: string, cause?: unknown): CarportError {
  return new CarportError('E_PROGRAM', `\`${command}\` cannot be executed`, {
    cause,
    hint: 'check that it is a program for this machine, and that what the first line of a script names is there',
  });
}

/** Of root that may make mounts, bubblewrap takes no user namespace. */
async function forbiddenBy(): Promise<(typeof SETTINGS)[number] | undefined> {
  if (process.getuid?.() === 0 && !(await isPowerlessRoot())) return undefined;
  for (const setting of SETTINGS) {
    const value = await readFile(`/proc/sys/${setting.file}`, 'utf8').catch(() => '');
    if (value.trim() === setting.forbids) return setting;
  }
  return undefined;
}

/** What bubblewrap says when it fails. */
async function failureOf(call: Bubblewrap): Promise<string | undefined> {
  const { options: input, ...command } = call;
  const child = startChild({ ...command, input, streams: ['ignore', 'ignore', 'pipe'] });
  child.status?.resume();
  const said = await text(child.stderr!);
  const isGood = await child.closed.then(
    ({ exitCode }) => exitCode === 0,
    () => false,
  );
  return isGood ? undefined : said.trim() || '`bwrap` failed';
}
