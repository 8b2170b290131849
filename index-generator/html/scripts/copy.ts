/** Copy buttons, for every page that has commands or hashes. */

import { markup } from '../../markup.js';

/** What gives each command and each hash a button that copies it; those in folds when they are unfolded. */
export const copyButtons = markup`
  const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
  // Readers of screens tell what changes in it, and only when it was there before.
  const told = make('p', { className: 'unseen', role: 'status' });
  if (document.querySelector('[data-copy]')) document.querySelector('main').append(told);
  const addButton = (text) => {
    const name = text.dataset.copy;
    const button = make('button', { type: 'button', textContent: 'Copy', ariaLabel: 'Copy ' + name });
    button.addEventListener('click', async () => {
      let done = 'Copied';
      try {
        await navigator.clipboard.writeText(text.textContent);
      } catch {
        // Browsers give the clipboard to pages with TLS only.
        getSelection().selectAllChildren(text);
        done = 'Selected';
      }
      button.textContent = done;
      told.textContent = done + ' ' + name;
      setTimeout(() => { button.textContent = 'Copy'; told.textContent = ''; }, 2000);
    });
    text.after(button);
    text.dataset.hasButton = '';
  };
  const addButtons = () => {
    for (const text of document.querySelectorAll('[data-copy]:not([data-has-button])')) {
      if (!text.closest('details:not([open])')) addButton(text);
    }
  };
  addButtons();
  document.addEventListener('toggle', addButtons, true);
`;

/** The same as a script of its own. */
export const copyScript = markup`
(() => {${copyButtons}})();
`;
