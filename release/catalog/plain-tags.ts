/** Tags that are numbers as those of releases are, and patterns for their like. */

/** Numbers with something between them, behind a component and what people write before the numbers of a release. */
const PLAIN = /^(?:.*@)?(?:v|r|rel|release|version)?[-_.]?[0-9]+(?:[^0-9A-Za-z][0-9]+)*$/i;

/** Whether somebody may have meant a tag for that of a release, whatever the pattern of stable ones is: `1.0.0`, `release-7`. */
export function isPlainTag(tag: string): boolean {
  return PLAIN.test(tag);
}

/** A `stable-pattern` for tags like a plain one. */
export function patternOf(tag: string): string {
  return tag.replaceAll(/[0-9]+|[.+]/g, (part) => (/[0-9]/.test(part) ? '[0-9]+' : `\\${part}`));
}
