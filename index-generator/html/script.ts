/** Filter and copy buttons. */

import { markup } from '../markup.js';
import { copyButtons } from './copy-script.js';

/**
 * What a browser that runs scripts has in addition: a field that filters releases, and buttons that copy commands. It
 * reads the page's text only and makes elements, never markup.
 */
export const script = markup`
(() => {${copyButtons}
  const releases = [...document.querySelectorAll('[data-release]')];
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
})();
`;
