/** The files of a project by its page in a simple index, which may be hostile (PEP 503, 691). */

import * as v from 'valibot';
import { formatError } from '../../../lib/errors.js';

/** A file that an index has. */
export interface IndexLink {
  readonly name: string;
  readonly url: URL;
  /** 64 hex digits, where the index tells it. */
  readonly sha256?: string;
}

/** Characters of a link in HTML that are looked at. */
const MAX_LINK = 8192;

const Page = v.object({
  files: v.array(v.object({ filename: v.string(), url: v.string(), hashes: v.record(v.string(), v.string()) })),
});

/** Reads a page. `base` is where it was read. Throws `E_FORMAT` for JSON that is no such page. */
export function parseIndexPage(text: string, contentType: string, base: URL): readonly IndexLink[] {
  if (!/json/.test(contentType)) return htmlLinks(text, base);
  const parsed = v.safeParse(Page, parseJson(text, base));
  if (!parsed.success) throw formatError(`\`${base.href}\``, 'is no page of a simple index');
  return parsed.output.files.flatMap(({ filename, url, hashes }) => linkOf(filename, url, hashes.sha256, base));
}

function parseJson(text: string, base: URL): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw formatError(`\`${base.href}\``, 'is no JSON', { cause });
  }
}

function htmlLinks(text: string, base: URL): readonly IndexLink[] {
  return text
    .split(/<a\s/i)
    .slice(1)
    .flatMap((part) => {
      const tag = part.slice(0, MAX_LINK).split('>', 1)[0]!;
      const href = /(?:^|\s)href\s?=\s?(?:"([^"]*)"|'([^']*)')/i
        .exec(tag)
        ?.slice(1)
        .find((each) => each !== undefined);
      if (href === undefined) return [];
      const [address = '', fragment = ''] = withoutEntities(href).split('#', 2);
      const sha256 = /(?:^|&)sha256=([0-9a-f]{64})(?:&|$)/.exec(fragment)?.[1];
      return linkOf(undefined, address, sha256, base);
    });
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  plus: '+',
  num: '#',
};

/** Text of HTML with the characters that were written otherwise (Gitea has `&#43;` for `+`). */
export function withoutEntities(html: string): string {
  return html.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,4}));/gi, (entity, decimal, hex, name) => {
    if (name !== undefined) return ENTITIES[String(name).toLowerCase()] ?? entity;
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    return code > 0x10_ffff ? entity : String.fromCodePoint(code);
  });
}

function linkOf(
  filename: string | undefined,
  address: string,
  sha256: string | undefined,
  base: URL,
): readonly IndexLink[] {
  if (!URL.canParse(address, base.href)) return [];
  const url = new URL(address, base);
  const name = filename ?? decoded(url.pathname.slice(url.pathname.lastIndexOf('/') + 1));
  const isHash = sha256 !== undefined && /^[0-9a-f]{64}$/.test(sha256);
  return [{ name, url, ...(isHash && { sha256 }) }];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
