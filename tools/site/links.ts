/** Whether the pages of the site lead somewhere: each link, each anchor, and nothing that is loaded from elsewhere. */

import { posix } from 'node:path';

/** What is wrong, a line each. `files` are those of the site, by their path; only pages need their text. */
export function siteMistakes(files: ReadonlyMap<string, string>): readonly string[] {
  const anchors = new Map([...files].map(([path, text]) => [path, new Set(attributes(text, ['id']))]));
  return [...files].flatMap(([path, text]) => {
    if (!path.endsWith('.html')) return [];
    const links = attributes(text, ['href', 'src']).flatMap((link) => mistakeOf(path, link, anchors));
    return [...links, ...loadedFromElsewhere(text), ...twice(attributes(text, ['id']))].map(
      (each) => `${path}: ${each}`,
    );
  });
}

function mistakeOf(from: string, link: string, anchors: ReadonlyMap<string, ReadonlySet<string>>): readonly string[] {
  if (/^[a-z]+:/.test(link)) return [];
  // Where the site will be nobody knows: not at the top of a server, and not where a server shows `index.html` by itself.
  if (link.startsWith('/') || link.endsWith('/')) return [`\`${link}\` works in one place only`];
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? from : posix.normalize(posix.join(posix.dirname(from), path));
  const known = anchors.get(target);
  if (known === undefined) return [`\`${link}\` leads nowhere`];
  return anchor === undefined || known.has(decodeURIComponent(anchor)) ? [] : [`\`${link}\`: there is no such place`];
}

function loadedFromElsewhere(text: string): readonly string[] {
  const loading = text.match(/<(?:script|img|link|iframe|source)\b[^>]*(?:src|href)="[a-z]+:[^>]*>/g) ?? [];
  return loading.filter((tag) => !tag.includes('"data:')).map((tag) => `${tag} is loaded from elsewhere`);
}

function twice(ids: readonly string[]): readonly string[] {
  return ids.filter((id, index) => ids.indexOf(id) !== index).map((id) => `\`${id}\` is there twice`);
}

/** Values of attributes of these names. Text has no `<`, so whatever stands in a tag is markup. */
function attributes(text: string, names: readonly string[]): readonly string[] {
  const tags = text.match(/<[a-z][^>]*>/g) ?? [];
  const attribute = new RegExp(` (?:${names.join('|')})="([^"]*)"`, 'g');
  return tags.flatMap((tag) => [...tag.matchAll(attribute)].map(([, value]) => value!.replaceAll('&amp;', '&')));
}
