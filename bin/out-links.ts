/** The out-links of so many paths: `result`, `result-2`, …, as Nix names them. None when none was asked for. */
export function outLinks(link: string | undefined, number: number): readonly string[] {
  if (link === undefined) return [];
  return Array.from({ length: number }, (_, index) => (index === 0 ? link : `${link}-${index + 1}`));
}
