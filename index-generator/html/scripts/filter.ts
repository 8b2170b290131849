/** The filter, which knows platforms by all their names. */

import { markup } from '../../markup.js';

/**
 * A field that leaves the releases and files that it is asked for. A word that begins the name of a platform is about platforms
 * only, so that `win` is not found in `darwin`. It reads the page's text only, and makes elements, never markup.
 */
export const filter = markup`
  const names = [
    [/linux/, 'linux'], [/darwin|macos|osx|apple/, 'macos darwin osx mac apple'],
    [/windows|win32|win64|mingw|msvc/, 'windows win32 win64'],
    [/x86_64|amd64|x64/, 'amd64 x86_64 x86-64 x64 intel'], [/aarch64|arm64/, 'arm64 aarch64'],
    [/armv?[5-8]|(^|[-_/])arm([-_/]|$)/, 'arm armv6 armv6l armv7 armv7l armhf'], [/(^|[-_/])i[3-6]86|(^|[-_/])386/, '386 i386 i686 x86'],
    [/(aarch64|arm64).*(darwin|macos|apple)|(darwin|macos|apple).*(aarch64|arm64)/, 'apple silicon m1'],
    [/riscv64/, 'riscv64'], [/freebsd/, 'freebsd'],
  ].map(([pattern, words]) => [pattern, words.split(' ')]);
  const allNames = names.flatMap(([, words]) => words);
  const aboutOf = (row) => {
    const target = row.dataset.target.toLowerCase();
    const words = names.filter(([pattern]) => pattern.test(target)).flatMap(([, its]) => its);
    const text = [target, row.querySelector('th').textContent, row.querySelector('.file').textContent].join(' ').toLowerCase();
    return { row, words, text, hash: row.querySelector('.hash').textContent };
  };
  const releases = [...document.querySelectorAll('[data-release]')];
  const addFilter = () => {
    const input = make('input', { type: 'search', autocomplete: 'off', placeholder: 'version or platform' });
    const label = make('label', { className: 'filter', textContent: 'Filter' });
    const status = make('p', { className: 'muted status', role: 'status' });
    label.append(input);
    document.querySelector('main').prepend(label, status);
    const folds = [...document.querySelectorAll('details.channel')];
    let known;
    const hasWord = (version, { words, text, hash }, word) => {
      if (allNames.some((name) => name.startsWith(word))) return words.some((name) => name.startsWith(word));
      return version.includes(word) || text.includes(word) || (word.length > 7 && hash.includes(word));
    };
    const look = () => {
      known ??= releases.map((release) => ({
        release,
        version: release.querySelector('h3').textContent.toLowerCase(),
        text: release.textContent.toLowerCase(),
        rows: [...release.querySelectorAll('.files tbody tr')].map(aboutOf),
      }));
      const wanted = input.value.trim().toLowerCase().split(/\\s+/).filter((word) => word !== '');
      let shown = 0;
      let files = 0;
      for (const { release, version, text, rows } of known) {
        const found = rows.filter((about) => wanted.every((word) => hasWord(version, about, word)));
        // Words of reasons and notes are of a release as a whole.
        const isWhole = found.length === 0 && !wanted.some((word) => allNames.some((name) => name.startsWith(word)))
          && wanted.every((word) => text.includes(word));
        release.hidden = wanted.length > 0 && found.length === 0 && !isWhole;
        for (const about of rows) about.row.hidden = !isWhole && !found.includes(about);
        if (release.hidden) continue;
        shown++;
        files += isWhole ? rows.length : found.length;
      }
      for (const fold of folds) {
        const amount = fold.querySelectorAll('[data-release]:not([hidden])').length;
        fold.open = wanted.length > 0 && amount > 0 && amount <= 10;
      }
      status.textContent = wanted.length === 0 ? '' : shown + ' of ' + releases.length + ' releases, ' + files + (files === 1 ? ' file' : ' files');
    };
    input.addEventListener('input', look);
  };
  if (releases.length > 0) addFilter();
`;
