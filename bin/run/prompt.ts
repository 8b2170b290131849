/** The name of a toolchain before the prompt of a shell, behind what the user's start files make of that. */

import { mkdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { writeBytesAtomically } from '../../lib/filesystem/atomic-write.js';
import { stateDirectory } from '../../lib/state-directory.js';

/** What a shell is started with for its prompt. */
export interface Prompt {
  readonly arguments: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** A prompt as the shell has it anyway. */
export const NO_PROMPT: Prompt = { arguments: [], env: {} };

const BASH = `[ ! -r ~/.bashrc ] || . ~/.bashrc
PS1='($CARPORT_SHELL) '"$PS1"
`;

/**
 * With PROMPT_SUBST, zsh runs what PROMPT has in `$(…)`, so only letters, digits and `._+@/-` of a name come into it; `.-9` has `/`.
 * The user's own files are those of CARPORT_ZDOTDIR, or of home; zsh looks for each of its files where ZDOTDIR says then.
 */
const ZSH_ENV = `_carport_zdotdir=$ZDOTDIR
if [[ -n $CARPORT_ZDOTDIR ]]; then ZDOTDIR=$CARPORT_ZDOTDIR; else unset ZDOTDIR; fi
[[ ! -r \${ZDOTDIR:-$HOME}/.zshenv ]] || source \${ZDOTDIR:-$HOME}/.zshenv
export CARPORT_ZDOTDIR=\${ZDOTDIR-}
ZDOTDIR=$_carport_zdotdir
`;
const ZSH_RC = `if [[ -n $CARPORT_ZDOTDIR ]]; then ZDOTDIR=$CARPORT_ZDOTDIR; else unset ZDOTDIR; fi
unset CARPORT_ZDOTDIR _carport_zdotdir
[[ ! -r \${ZDOTDIR:-$HOME}/.zshrc ]] || source \${ZDOTDIR:-$HOME}/.zshrc
PROMPT="(\${CARPORT_SHELL//[^a-zA-Z_.-9+@ -]/}) $PROMPT"
`;

const FISH = `if functions -q fish_prompt; functions -c fish_prompt _carport_prompt; end
function fish_prompt; echo -n "($CARPORT_SHELL) "; functions -q _carport_prompt; and _carport_prompt; end`;

/** How a shell is started so that its prompt begins with what `CARPORT_SHELL` has. Shells that are not known get a plain one. */
export async function promptFor(shell: string, env: NodeJS.ProcessEnv): Promise<Prompt> {
  const directory = join(stateDirectory(env), 'shell');
  switch (basename(shell)) {
    case 'bash':
      await provide(directory, 'bashrc', BASH);
      return { arguments: ['--rcfile', join(directory, 'bashrc')], env: {} };
    case 'zsh':
      await provide(join(directory, 'zsh'), '.zshenv', ZSH_ENV);
      await provide(join(directory, 'zsh'), '.zshrc', ZSH_RC);
      return { arguments: [], env: { ZDOTDIR: join(directory, 'zsh'), CARPORT_ZDOTDIR: env.ZDOTDIR ?? '' } };
    case 'fish':
      return { arguments: ['--init-command', FISH], env: {} };
    default:
      return { arguments: [], env: { PS1: '($CARPORT_SHELL) $ ' } };
  }
}

/** Writes a start file, unless it is there as it should be. */
async function provide(directory: string, name: string, text: string): Promise<void> {
  const file = join(directory, name);
  if ((await readFile(file, 'utf8').catch(() => undefined)) === text) return;
  await mkdir(directory, { recursive: true });
  await writeBytesAtomically(file, text);
}
