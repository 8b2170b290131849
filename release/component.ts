/** Components of monorepos: the tag `cli/v1.2.3` is the version `cli@v1.2.3`, and `cli` its component. */

/** Between a component and its version; in tags it is a slash, which would be another directory in a key. */
const SEPARATOR = '@';

/** What follows a component: numbers, perhaps behind a `v`, or behind a name as npm's tags have it. */
const VERSION = /^(?:.*@)?v?[0-9]/i;

/**
 * The version that a tag is published as: `cli@v1.2.3` for `cli/v1.2.3`, and `acme@cli@1.2.3` for npm's `@acme/cli@1.2.3`. A
 * tag that has no version behind its last slash, such as `feature/x`, stays as it is, and is none.
 */
export function versionOfTag(tag: string): string {
  if (!VERSION.test(tag.slice(tag.lastIndexOf('/') + 1))) return tag;
  const plain = /^@[^/]+\//.test(tag) ? tag.slice(1) : tag;
  return plain.replaceAll('/', SEPARATOR);
}

/** What stands before the version proper, if anything does, and that. */
export function splitComponent(version: string): { readonly component?: string; readonly proper: string } {
  const end = version.lastIndexOf(SEPARATOR);
  if (end < 1 || end === version.length - 1) return { proper: version };
  return { component: version.slice(0, end), proper: version.slice(end + 1) };
}

/** The component of a version; nothing for a version of the project itself. */
export function componentOf(version: string): string | undefined {
  return splitComponent(version).component;
}
