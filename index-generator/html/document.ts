/** What all pages have in common: the head, what may be loaded (nothing), and where style and script stand. */

import { type Content, type Markup, markup, markupOf } from '../markup.js';
import { policyOf } from './policy.js';

/** What a page is made of. */
export interface PageDocument {
  readonly title: string;
  /** In the head of each page of its kind, and of no other: what tells one's own page from another's. */
  readonly mark: Markup;
  /** More of the head. */
  readonly head?: Content;
  readonly style: Markup;
  readonly script: Markup;
  readonly body: Content;
}

/** A whole page. The same parts give the same text. */
export function renderDocument({ title, mark, head, style, script, body }: PageDocument): string {
  return markupOf(markup`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policyOf(style, script)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
${mark}
<title>${title}</title>
<link rel="icon" href="data:,">
${head}<style>${style}</style>
</head>
<body>
${body}
<script>${script}</script>
</body>
</html>
`);
}
