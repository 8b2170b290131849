/** Notes of a release made of its commits, as Markdown. */

import type { Commit } from '../../release/steps/commits.js';
import { commitLink, type Forge, issueLink } from '../links.js';

/**
 * A line for each commit, in their order: its subject, and a link to it where the forge is known; so are `#12` in subjects. What
 * would be more characters than `limit` is counted in a last line.
 */
export function renderCommitNotes(commits: readonly Commit[], forge: Forge | undefined, limit: number): string {
  const lines: string[] = [];
  // Room for the line that says how many more there are.
  let left = limit - 100;
  for (const commit of commits) {
    const line = lineOf(commit, forge);
    if (line.length + 1 > left) break;
    left -= line.length + 1;
    lines.push(line);
  }
  const more = commits.length - lines.length;
  return [...lines, ...(more > 0 ? [`* and ${more.toLocaleString('en-US')} more`] : [])].join('\n');
}

/** Characters of a subject that are shown. */
const MOST_SUBJECT = 500;

function lineOf({ id, subject }: Commit, forge: Forge | undefined): string {
  const shown = subject.length > MOST_SUBJECT ? `${subject.slice(0, MOST_SUBJECT)}…` : subject;
  const link = forge && commitLink(forge, id);
  const short = id.slice(0, 9);
  return `* ${withIssues(plainText(shown), forge)} (${link === undefined ? short : `[${short}](${link})`})`;
}

/** A subject is text: no HTML, no link, no heading or list. Marks for code and emphasis may stay. */
function plainText(subject: string): string {
  const text = subject
    .replaceAll(/[\p{Cc}\p{Cf}\u{2028}\u{2029}]/gu, ' ')
    .replaceAll(/[\\<[\]]/g, String.raw`\$&`)
    .trim();
  return text.replace(/^([#+>=~|-])/, String.raw`\$1`).replace(/^(\d+)([.)])/, String.raw`$1\$2`) || '-';
}

/** `#12`, and GitLab's `!12`, as links. */
function withIssues(text: string, forge: Forge | undefined): string {
  if (forge === undefined) return text;
  return text.replaceAll(/(?<![\w/&#`\\!])([#!])([1-9]\d{0,8})(?![\w`])/g, (whole, mark: string, number: string) => {
    const link = issueLink(forge, mark === '!' ? 'merge-request' : 'issue', number);
    return link === undefined ? whole : `[${whole}](${link})`;
  });
}
