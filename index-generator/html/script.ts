import { markup } from '../markup.js';

/**
 * What a browser that runs scripts has in addition: a field that filters releases, and buttons that copy commands. It
 * reads the page's text only and makes elements, never markup.
 */
export const script = markup`
(() => {
  const releases = [...document.querySelectorAll('[data-release]')];
  const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
  const status = make('p', { className: 'muted', role: 'status' });

  if (releases.length > 1) {
    const input = make('input', { type: 'search', autocomplete: 'off' });
    const label = make('label', { className: 'filter', textContent: 'Filter by version or platform' });
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

  for (const command of document.querySelectorAll('pre')) {
    const label = 'Copy the command for ' + command.dataset.of;
    const button = make('button', { type: 'button', textContent: 'Copy', ariaLabel: label });
    button.addEventListener('click', async () => {
      try {
        await navigator.clipboard.writeText(command.textContent);
        button.textContent = 'Copied';
      } catch {
        // Browsers give the clipboard to pages with TLS only.
        getSelection().selectAllChildren(command);
        button.textContent = 'Selected';
      }
      setTimeout(() => { button.textContent = 'Copy'; }, 2000);
    });
    command.after(button);
  }
})();
`;
