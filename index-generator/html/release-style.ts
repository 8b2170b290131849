/** The style of the page of releases. */

import { markup } from '../markup.js';

/** What the page of releases has beyond the style of all pages: a compact table, which is cards where there is no room. */
export const releaseStyle = markup`
body { max-width: 74rem; }
header { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: 0 1.5rem; }
h1 { display: flex; align-items: center; gap: 0.75rem; margin: 0; font-size: 1.75rem; }
.logo { height: 2.5rem; width: auto; max-width: 10rem; object-fit: contain; flex: none; }
main { position: relative; }
.heading { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 1rem; border-bottom: 1px solid var(--line); margin: 1.5rem 0 0.5rem; }
.heading h2 { border: 0; margin: 0; padding: 0; font-size: 1.25rem; }
#stable > .heading { margin-top: 0.75rem; }
.heading p { margin: 0; }
.newest { border: 2px solid var(--accent); border-radius: 6px; padding: 0.5rem 1rem; margin: 0.75rem 0; }
.title { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 0.75rem; }
.title h3 { margin: 0; font-size: 1.625rem; }
.badge { font-size: 0.8125rem; font-weight: 600; border: 1px solid var(--accent); color: var(--accent); border-radius: 1rem; padding: 0 0.625rem; }
.pick { display: flex; flex-wrap: wrap; align-items: center; gap: 0.25rem 1rem; margin: 0.5rem 0; }
.button {
  background: var(--accent); color: var(--page); border-radius: 6px; padding: 0.5rem 1.25rem; font-weight: 600; text-decoration: none;
}
.button:hover { text-decoration: underline; }
.choice { margin-inline-start: auto; max-width: 100%; color: var(--muted); }
select { color: var(--text); padding: 0.25rem; max-width: 16rem; }
.notes { margin: 0.5rem 0; max-width: 48rem; }
.notes > :first-child { margin-top: 0; }
.notes > :last-child { margin-bottom: 0; }
ul.notes, .notes ul, .notes ol { margin: 0.375rem 0; padding-inline-start: 1.5rem; }
.notes table { width: auto; table-layout: auto; }
.notes th, .notes td { border: 1px solid var(--line); padding: 0.25rem 0.5rem; }
.notes blockquote { margin: 0.5rem 0; padding-inline-start: 0.75rem; border-inline-start: 3px solid var(--line); }
.notes h4, .notes h5, .notes h6 { margin: 0.75rem 0 0.25rem; font-size: 1rem; }
.files { table-layout: auto; }
.files th, .files td { padding: 0.125rem 1rem 0.125rem 0; vertical-align: middle; }
.files th { font-weight: 600; }
.platform { white-space: nowrap; }
.files thead th { color: var(--muted); font-size: 0.875rem; border-top: 0; }
.files .size, .files .hash, .files .signature { white-space: nowrap; width: 1%; }
.files td { font-size: 0.875rem; }
.triple { color: var(--muted); font-weight: normal; font-size: 0.875rem; margin-inline-start: 0.25rem; }
.short { display: inline-block; width: 12ch; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; vertical-align: middle; user-select: all; }
.hash button { font-size: 0.8125rem; padding: 0 0.5rem; min-height: 1.5rem; margin-inline-start: 0.5rem; vertical-align: middle; }
.yanked h3 s, .yanked td s { color: var(--muted); }
.others { margin: 1rem 0 0; }
article:not(.newest) > details { border-top: 1px solid var(--line); }
article > details > summary { padding: 0.25rem 0; }
article > details > summary h3 { display: inline; margin: 0 0.75rem 0 0; font-size: 1rem; color: var(--text); }
article > details > summary time { color: var(--muted); margin-inline-end: 0.75rem; }
.unfolded { padding: 0 0 0.75rem 1rem; scroll-margin-top: 3rem; }
.newest { scroll-margin-top: 0.5rem; }
.filter { display: flex; align-items: center; gap: 0.75rem; color: var(--muted); }
.status { margin: 0; }
input { flex: 1; max-width: 24rem; min-width: 0; padding: 0.25rem 0.5rem; color: var(--text); }
::placeholder { color: var(--muted); opacity: 1; }
@media (min-width: 60rem) {
  main > .filter { position: absolute; inset-inline-end: 0; top: -0.75rem; width: 26rem; }
  .status { position: absolute; inset-inline-end: 27rem; top: -0.5rem; }
}
@media (max-width: 62.4rem) {
  .triple { display: block; margin: 0; }
  .files th, .files td { padding-inline-end: 0.5rem; }
  .short { width: 9ch; }
  .files .signature { white-space: normal; overflow-wrap: normal; width: 7rem; }
}
@media (max-width: 599px) {
  body { padding: 0.75rem; }
  .newest { padding: 0.5rem 0.75rem; }
  .files thead { position: absolute; inset-inline-start: -100vw; }
  .files, .files tbody { display: block; }
  .files tr { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; border-top: 1px solid var(--line); padding: 0.375rem 0; }
  .files th, .files td, .files .size, .files .hash, .files .signature { border: 0; padding: 0; width: auto; white-space: nowrap; }
  .files th { flex: 1; white-space: normal; }
  .files .size { order: 1; }
  .files .file { order: 2; flex: 0 0 100%; white-space: normal; }
  .files .hash, .files .signature { order: 3; }
  .button { display: block; width: 100%; text-align: center; padding-inline: 0.5rem; }
  .choice { margin: 0; }
  .unfolded { padding-inline-start: 0; }
}
`;
