/** The search field. It works from a file, too: the index is a script, which is loaded when the field is first used. */

const { top: way } = document.currentScript.dataset;

document.addEventListener('DOMContentLoaded', () => {
  const search = document.querySelector('.search');
  const input = document.querySelector('#query');
  const results = document.querySelector('#results');
  const status = search.querySelector('[role=status]');
  let index;
  search.hidden = false;

  input.addEventListener('focus', load, { once: true });
  input.addEventListener('input', show);
  search.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') close();
    if (event.key === 'Enter' && event.target === input) results.querySelector('a')?.click();
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const stops = [input, ...results.querySelectorAll('a')];
    stops[stops.indexOf(document.activeElement) + step]?.focus();
  });
  document.addEventListener('keydown', (event) => {
    if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || event.target === input) return;
    event.preventDefault();
    input.focus();
  });
  document.addEventListener('click', ({ target }) => {
    if (!search.contains(target)) close();
  });

  async function load() {
    await Promise.all(['minisearch.js', 'search-index.js'].map(script));
    index = MiniSearch.loadJS(globalThis.carportSearch, {
      fields: ['heading', 'title', 'text'],
      storeFields: ['url', 'title', 'heading', 'excerpt'],
      searchOptions: {
        boost: { heading: 4, title: 3 },
        prefix: true,
        fuzzy: (term) => (term.length > 4 ? 0.2 : 0),
        combineWith: 'AND',
      },
    });
    show();
  }

  function script(name) {
    return new Promise((resolve, reject) => {
      const element = Object.assign(document.createElement('script'), {
        src: way + name,
        onload: resolve,
        onerror: reject,
      });
      document.head.append(element);
    });
  }

  function show() {
    const query = input.value.trim();
    if (index === undefined || query === '') return close();
    const found = index.search(query);
    results.replaceChildren(...found.slice(0, 12).map(entry));
    results.hidden = found.length === 0;
    status.textContent = found.length === 1 ? '1 result' : `${found.length} results`;
  }

  function entry({ url, title, heading, excerpt }) {
    const link = Object.assign(document.createElement('a'), { href: way + url });
    const name = Object.assign(document.createElement('strong'), { textContent: heading });
    link.append(name, heading === title ? '' : ` · ${title}`);
    link.append(Object.assign(document.createElement('span'), { textContent: excerpt }));
    const item = document.createElement('li');
    item.append(link);
    return item;
  }

  function close() {
    results.hidden = true;
    results.replaceChildren();
    status.textContent = '';
  }
});
