/** The page of a binary cache, at its root: how it is used, whose keys sign it, what its pins hold. */

import { formatBytes } from '../../lib/format-bytes.js';
import { type Markup, markup } from '../markup.js';
import { command, facts, pageOf } from './frame.js';

/** A pin as the page tells it. */
export interface ShownPin {
  readonly name: string;
  /** Since when it stands for this; UTC with milliseconds. */
  readonly since: string;
  readonly expiresAt: string | null;
  readonly storePaths: readonly string[];
  /** Paths of its closure, and bytes of their NARs. */
  readonly paths: number;
  readonly bytes: number;
}

/** What a page tells of a cache. */
export interface ShownCache {
  readonly title: string;
  /** Where readers find it: `https://nix.example.org`, or the cache's own URL. */
  readonly url: string;
  /** `NAME:BASE64`, of keys that have signed it. */
  readonly publicKeys: readonly string[];
  /** By name. */
  readonly pins: readonly ShownPin[];
  readonly paths: number;
  readonly narSize: number;
  /** Bytes of all objects of the cache. */
  readonly bytes: number;
}

/** The page. The same cache gives the same text. */
export function renderCachePage(cache: ShownCache): string {
  const { title, pins, paths, narSize, bytes } = cache;
  const totals: readonly (readonly [string, string])[] = [
    ['store paths', paths.toLocaleString('en-US')],
    ['stored', formatBytes(bytes)],
    ['unpacked', formatBytes(narSize)],
    ['pins', String(pins.length)],
  ];
  return pageOf(title, [
    markup`<p>A binary cache for Nix and carport.</p>
`,
    facts(totals),
    use(cache),
    pinSection(cache),
  ]);
}

function use({ url, publicKeys, pins }: ShownCache): Markup {
  const [pin] = pins;
  const keys = publicKeys.join(' ');
  const lines = [`extra-substituters = ${url}`, ...(keys === '' ? [] : [`extra-trusted-public-keys = ${keys}`])];
  const trusted = publicKeys.map((key) => ` \\\n  --trusted-key '${key}'`).join('');
  const pull = `carport pull ${pin?.name ?? '/nix/store/HASH-NAME'} --from '${url}'${trusted}`;
  return markup`<section aria-labelledby="use">
<h2 id="use">Use it</h2>
<p>With Nix, in <code>nix.conf</code>:</p>
${command(lines.join('\n'), 'the lines for nix.conf')}
<p>With carport, which needs no Nix:</p>
${command(pull, 'the pull with carport')}
${publicKeys.length === 0 ? markup`<p class="muted">Ask who runs the cache for its public key: without one, readers take nothing of it.</p>` : keyList(publicKeys)}
</section>
`;
}

function keyList(publicKeys: readonly string[]): Markup {
  return markup`<p>Signed by ${publicKeys.length === 1 ? 'the key' : 'the keys'}:</p>
<ul>${publicKeys.map((key) => markup`<li><code>${key}</code></li>`)}</ul>
<p class="muted">Who can write this page can write another key into it: compare the key with one that you have from elsewhere.</p>`;
}

function pinSection({ pins }: ShownCache): Markup {
  return markup`<section aria-labelledby="pins">
<h2 id="pins">Pins</h2>
${
  pins.length === 0
    ? markup`<p>There is no pin yet.</p>`
    : markup`<table>
<thead><tr><th scope="col">Name, and what it holds</th><th scope="col">Since</th><th scope="col" class="number">Size</th></tr></thead>
<tbody>
${pins.map(pinRow)}</tbody>
</table>`
}
</section>
`;
}

function pinRow({ name, since, expiresAt, storePaths, paths, bytes }: ShownPin): Markup {
  const ends =
    expiresAt &&
    markup`<span class="triple">until <time datetime="${expiresAt}">${expiresAt.slice(0, 10)}</time></span>`;
  const held = markup`<ul class="held">${storePaths.map((path) => markup`<li><code>${path}</code></li>`)}</ul>`;
  const amount = markup`<span class="triple">${paths.toLocaleString('en-US')} ${paths === 1 ? 'path' : 'paths'}</span>`;
  return markup`<tr><th scope="row"><bdi>${name}</bdi>${held}</th><td><time datetime="${since}">${since.slice(0, 10)}</time>${ends ?? undefined}</td><td class="number">${formatBytes(bytes)}${amount}</td></tr>
`;
}
