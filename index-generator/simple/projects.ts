/** The Python projects of releases, and the files of each that installers may choose from. */

import { aboutKey, type Notice } from '../../lib/notice.js';
import { normalizeProject } from '../../lib/python/file-name.js';
import { comparePythonVersions, parsePythonVersion } from '../../lib/python/version.js';
import type { Release, ReleaseFile } from '../../release/catalog/model.js';
import { compareText } from '../../release/catalog/version-order.js';
import type { PythonFacts } from '../../release/wheels/facts.js';

/** A file as a simple index tells of it. */
export interface SimpleFile {
  readonly name: string;
  readonly key: string;
  readonly size: number;
  readonly sha256: string;
  readonly python: PythonFacts;
  readonly hasMetadata: boolean;
  /** When its release was published: RFC 3339 in UTC. */
  readonly time: string;
  /** Why it should not be used any more. */
  readonly yanked?: string;
}

/** All files of a project. */
export interface SimpleProject {
  /** In its normal form (PEP 503). */
  readonly name: string;
  /** In normal form, each once, in order. */
  readonly versions: readonly string[];
  /** By version, then by name; one of each name. */
  readonly files: readonly SimpleFile[];
}

/** The projects of releases of one channel, sorted by name; `warnings` is told what was left out. */
export function simpleProjects(releases: readonly Release[], warnings: Notice[] = []): readonly SimpleProject[] {
  const projects = new Map<string, Map<string, SimpleFile>>();
  for (const release of releases) {
    for (const file of release.targets.flatMap(({ files }) => files)) {
      const found = simpleFile(release, file);
      if (!found) continue;
      const name = normalizeProject(found.python.name);
      const files = projects.get(name) ?? new Map<string, SimpleFile>();
      projects.set(name, files);
      const other = files.get(found.name);
      if (other === undefined || (isBetter(found, other) && isSame(found, other))) files.set(found.name, found);
      else if (!isSame(found, other)) warnings.push(leftOut(found, other));
    }
  }
  return [...projects]
    .map(([name, files]) => projectOf(name, [...files.values()]))
    .sort((a, b) => compareText(a.name, b.name));
}

function simpleFile({ time, yanked }: Release, file: ReleaseFile): SimpleFile | undefined {
  const { name, key, size, sha256, python, hasMetadata = false } = file;
  if (!python || sha256 === undefined) return undefined;
  return { name, key, size, sha256, python, hasMetadata, time, ...(yanked && { yanked: yanked.reason }) };
}

/** The same file of two targets, or of two releases, is one: the one that may be used. */
function isBetter(file: SimpleFile, other: SimpleFile): boolean {
  return other.yanked !== undefined && file.yanked === undefined;
}

function isSame(a: SimpleFile, b: SimpleFile): boolean {
  return a.sha256 === b.sha256;
}

function leftOut({ key }: SimpleFile, other: SimpleFile): Notice {
  return aboutKey(key, `\`${key}\` is not in the simple index: \`${other.key}\` has the same name and other bytes`);
}

function projectOf(name: string, files: readonly SimpleFile[]): SimpleProject {
  const sorted = files
    .map((file) => ({ file, version: parsePythonVersion(file.python.version) }))
    .sort((a, b) => comparePythonVersions(a.version, b.version) || compareText(a.file.name, b.file.name))
    .map(({ file }) => file);
  return { name, versions: [...new Set(sorted.map(({ python }) => python.version))], files: sorted };
}
