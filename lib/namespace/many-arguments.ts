/** bubblewrap takes 9000 arguments, its own and the command's; Linux takes more. */
const MAX_ARGUMENTS = 8000;

/** Linux takes 128 KiB in one argument; a character has 4 bytes at most. */
const PIECE = /[\s\S]{1,30000}/gu;

/** Joins its arguments, which are one line of shell in pieces, and becomes the command. */
const SCRIPT = 'IFS=; eval "exec $*"';

/**
 * The same command with few arguments: a shell gets all as text, and becomes the command. So does one that `env` would take
 * for a variable.
 */
export function withFewArguments(command: readonly string[]): readonly string[] {
  if (command.length <= MAX_ARGUMENTS && !command[0]?.includes('=')) return command;
  const text = command.map((word) => ` ${quote(word)}`).join('');
  return ['/bin/sh', '-c', SCRIPT, 'sh', ...text.match(PIECE)!];
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
