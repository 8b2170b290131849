/** Filter and copy buttons. */

import { markup } from '../markup.js';

/**
 * What a browser that runs scripts has in addition: a field that filters releases, and buttons that copy commands. It
 * reads the page's text only and makes elements, never markup.
 */
export const script = markup`
(() => {
  const releases = [...document.querySelectorAll('[data-release]')];
  const make = (tag, properties) => Object.assign(document.createElement(tag), properties);

  if (releases.length > 1) {
    const input = make('input', { type: 'search', autocomplete: 'off' });
    const label = make('label', { className: 'filter', textContent: 'Filter by version or platform' });
    const status = make('p', { className: 'muted', role: 'status' });
    label.append(input);
    document.querySelector('main').prepend(label, status);
    const folds = [...document.querySelectorAll('details')];
    input.addEventListener('input', () => {
      const wanted = input.value.trim().toLowerCase();
      let shown = 0;
      for (const release of releases) {
        release.hidden = !release.textContent.toLowerCase().includes(wanted);
        if (!release.hidden) shown++;
      }
      for (const fold of folds) fold.open = wanted !== '' && fold.querySelector('[data-release]:not([hidden])') !== null;
      status.textContent = wanted === '' ? '' : shown + ' of ' + releases.length + ' releases';
    });
  }

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
})();
`;
