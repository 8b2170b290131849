/** Copy buttons, for every page that has commands. */

import { markup } from '../markup.js';

/** What gives each command of a page a button that copies it. */
export const copyButtons = markup`
  const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
  const commands = document.querySelectorAll('pre');
  // Readers of screens tell what changes in it, and only when it was there before.
  const told = make('p', { className: 'unseen', role: 'status' });
  if (commands.length > 0) document.querySelector('main').append(told);
  for (const command of commands) {
    const name = 'the command for ' + command.dataset.of;
    const button = make('button', { type: 'button', textContent: 'Copy', ariaLabel: 'Copy ' + name });
    button.addEventListener('click', async () => {
      let done = 'Copied';
      try {
        await navigator.clipboard.writeText(command.textContent);
      } catch {
        // Browsers give the clipboard to pages with TLS only.
        getSelection().selectAllChildren(command);
        done = 'Selected';
      }
      button.textContent = done;
      told.textContent = done + ' ' + name;
      setTimeout(() => { button.textContent = 'Copy'; told.textContent = ''; }, 2000);
    });
    command.after(button);
  }
`;

/** The same as a script of its own. */
export const copyScript = markup`
(() => {${copyButtons}})();
`;
