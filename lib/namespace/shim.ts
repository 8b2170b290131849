/** Small scripts that enter a namespace and become one program there, without this one: a call costs milliseconds. */

import { quoteWord } from './plain-command.js';
import type { Shield } from './shield.js';

/** How scripts enter a namespace. */
export interface ShimEntry {
  readonly bubblewrap: string;
  /** Has the options of bubblewrap, each with a zero byte behind it. */
  readonly mountsFile: string;
  /** Becomes the command that follows, which ends when bubblewrap does. */
  readonly follow: readonly string[];
  /** Becomes the command that follows, to which the terminal's signals go on. */
  readonly restore: Shield['restore'];
}

/** A script that becomes a program. */
export interface Shim {
  /** Where the program is when the store is in its place. */
  readonly program: string;
  /** What come first on its PATH. */
  readonly directories: readonly string[];
  /** What was named, for `CARPORT_RUN`. */
  readonly names: string;
  /** Absent where all is in its place. */
  readonly entry?: ShimEntry;
}

/** What each of the scripts begins with: files that do not are somebody else's. */
export const SHIM_START = '#!/bin/sh\n# Made by `carport shims`, which makes it anew: changes are lost.\n';

/**
 * The text of a script, in POSIX shell. It needs no other program but bubblewrap and what the entry names. File descriptor 9 is
 * used on the way; others reach the program, such as those of make's job server.
 */
export function renderShim({ program, directories, names, entry }: Shim): string {
  const own = directories.map(quoteWord).join(':');
  const quoted = quoteWord(program);
  const lines = [
    `export CARPORT_RUN=${quoteWord(names)}`,
    // Within another of these it is there already.
    `case "$PATH" in ${own} | ${own}:*) ;; *) export PATH=${own}"\${PATH:+:$PATH}" ;; esac`,
  ];
  if (entry === undefined) return `${SHIM_START}${lines.join('\n')}\nexec ${quoted} "$@"\n`;
  const { bubblewrap, mountsFile, follow, restore } = entry;
  // A terminal sends them to all: bubblewrap must stay for the program to handle them.
  const ignore = restore.length > 0 ? ["trap '' INT QUIT"] : [];
  const command = [bubblewrap, '--args', '9'].map(quoteWord).join(' ');
  const rest = [...follow, ...restore, program].map(quoteWord).join(' ');
  return `${SHIM_START}${[
    ...lines,
    `[ ! -x ${quoted} ] || exec ${quoted} "$@"`,
    ...ignore,
    `exec ${command} --chdir "$PWD" -- ${rest} "$@" 9<${quoteWord(mountsFile)}`,
  ].join('\n')}\n`;
}
