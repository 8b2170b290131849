/** The names that GitHub gives to files. Source: GitHub's documentation of release assets, and what its own client expects. */

/**
 * The name under which GitHub keeps a file: letters lose their marks, other characters than ASCII's letters, digits and `-_+@`
 * become dots, of which there are none in a row, nor at an end.
 */
export function githubAssetName(name: string): string {
  const plain = name.normalize('NFD').replace(/\p{M}/gu, '');
  const named = plain.startsWith('.') ? `default${plain}` : plain;
  return named
    .replace(/[^A-Za-z0-9\-_+@]+/g, '.')
    .split('.')
    .filter((part) => part !== '')
    .join('.');
}
