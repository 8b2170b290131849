/** The style of all pages. */

import { markup } from '../markup.js';

/** The style of all pages. Everything may break anywhere: names are of any length, and a phone is 320 pixels wide. */
export const style = markup`
:root {
  color-scheme: light dark;
  --page: #ffffff; --text: #1b1f24; --muted: #57606a; --line: #d0d7de; --raised: #f3f5f7; --accent: #0b5d83;
}
@media (prefers-color-scheme: dark) {
  :root { --page: #14181c; --text: #e6e9ec; --muted: #a3adb8; --line: #39424b; --raised: #1e242a; --accent: #7cc4e8; }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1rem; max-width: 64rem; background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere;
}
h1, h2, h3 { line-height: 1.25; margin: 1.5rem 0 0.5rem; }
h1 { margin-top: 0; }
h2 { border-bottom: 1px solid var(--line); padding-bottom: 0.25rem; }
p { margin: 0.5rem 0; }
a { color: var(--accent); }
a, summary { padding: 0.25rem 0; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
nav ul, .links { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 1.25rem; list-style: none; margin: 0; padding: 0; }
nav a, .links a, td a, summary { display: inline-block; min-height: 1.5rem; }
summary { display: list-item; cursor: pointer; color: var(--accent); }
bdi { white-space: break-spaces; }
code, pre { font-family: ui-monospace, monospace; font-size: 0.875rem; }
pre {
  margin: 0.5rem 0; padding: 0.5rem; background: var(--raised); border: 1px solid var(--line); border-radius: 4px;
  white-space: pre-wrap;
}
table { width: 100%; table-layout: fixed; border-collapse: collapse; margin: 0.5rem 0; }
caption { text-align: start; color: var(--muted); }
th, td { text-align: start; vertical-align: top; padding: 0.5rem 0.5rem 0.5rem 0; border-top: 1px solid var(--line); }
.muted { color: var(--muted); font-weight: normal; }
.skip, .unseen { position: absolute; inset-inline-start: -100vw; }
.skip:focus { position: static; display: inline-block; }
input, button, select { font: inherit; color: inherit; background: var(--raised); border: 1px solid var(--line); border-radius: 4px; }
button { padding: 0.125rem 0.75rem; min-height: 1.75rem; cursor: pointer; }
footer { margin-top: 2rem; border-top: 1px solid var(--line); color: var(--muted); }
[hidden] { display: none !important; }
`;
