/** Tags that are numbers as those of releases are, and patterns for their like. */

/** Letters, and then numbers with something between them. */
const PLAIN = /^(?<letters>[^0-9]*)[0-9]+([^0-9A-Za-z][0-9]+)*$/;

/** Whose letters say that it is no release, but comes before one, or is for a test. */
const PRELIMINARY = /alpha|beta|canary|dev|draft|nightly|pre|rc|snapshot|test/i;

/** Whether somebody may have meant a tag for that of a release, whatever the pattern of stable ones is: `1.0.0`, `release-7`. */
export function isPlainTag(tag: string): boolean {
  const letters = PLAIN.exec(tag)?.groups?.letters;
  return letters !== undefined && !PRELIMINARY.test(letters);
}

/** A `stable-pattern` for tags like a plain one. */
export function patternOf(tag: string): string {
  return tag.replaceAll(/[0-9]+|[.+]/g, (part) => (/[0-9]/.test(part) ? '[0-9]+' : `\\${part}`));
}
