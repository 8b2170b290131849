/** Names of projects, wheels and source distributions (PEP 503, 427, 425, 491, 625). */

import { formatError } from '../errors.js';
import { type PythonVersion, tryPythonVersion } from './version.js';

/** What the name of a wheel says. */
export interface WheelName {
  /** As the name has it, `-` and `.` replaced: `my_project`. */
  readonly project: string;
  readonly version: PythonVersion;
  /** The version as the name has it. */
  readonly versionText: string;
  /** `1` or `1abc`, where there is one. */
  readonly build?: string;
  /** Each a set: `cp310.cp311`. */
  readonly python: readonly string[];
  readonly abi: readonly string[];
  readonly platform: readonly string[];
}

/** What the name of a source distribution says. */
export interface SdistName {
  readonly project: string;
  readonly version: PythonVersion;
  readonly versionText: string;
}

const PROJECT = /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$/;

/** True for the name of a project (core metadata, `Name`). */
export function isProjectName(text: string): boolean {
  return text.length <= 200 && PROJECT.test(text);
}

/** The name by which projects are compared, and have their addresses (PEP 503): `my-project`. */
export function normalizeProject(name: string): string {
  return name.replace(/[-_.]+/g, '-').toLowerCase();
}

/** The same name as parts of file names have it (PEP 427, 625): `my_project`. */
export function escapeProject(name: string): string {
  return normalizeProject(name).replaceAll('-', '_');
}

/** A version as the names of wheels and their directories have it: `-` would end it. */
export function escapeVersion(text: string): string {
  return text.replaceAll('-', '_');
}

/** Whether a file is called as wheels are. */
export function isWheelFile(name: string): boolean {
  return name.endsWith('.whl');
}

/** Reads the name of a wheel; throws `E_FORMAT` for another name. */
export function parseWheelName(name: string): WheelName {
  const wrong = (why: string) =>
    formatError(`\`${name}\``, `${why}; a wheel is called \`NAME-VERSION[-BUILD]-PYTHON-ABI-PLATFORM.whl\``);
  const parts = name.replace(/\.whl$/, '').split('-');
  if (!isWheelFile(name) || parts.length < 5 || parts.length > 6) throw wrong('is not the name of a wheel');
  const [project = '', versionText = ''] = parts;
  const build = parts.length === 6 ? parts[2] : undefined;
  const [python = '', abi = '', platform = ''] = parts.slice(-3);
  if (!isProjectName(project)) throw wrong(`has \`${project}\` in the place of a project's name`);
  const version = tryPythonVersion(versionText.replaceAll('_', '-'));
  if (!version) throw wrong(`has \`${versionText}\` in the place of a version (PEP 440)`);
  if (build !== undefined && !/^[0-9][A-Za-z0-9_.]*$/.test(build)) {
    throw wrong(`has the build tag \`${build}\`, which does not begin with a digit`);
  }
  const sets = [python, abi, platform].map((text) => text.split('.'));
  const bad = sets.flat().find((tag) => !/^[A-Za-z0-9_]+$/.test(tag));
  if (bad !== undefined) throw wrong(`has \`${bad}\` in the place of a tag`);
  const [pythons = [], abis = [], platforms = []] = sets;
  return {
    ...{ project, version, versionText, python: pythons, abi: abis, platform: platforms },
    ...(build !== undefined && { build }),
  };
}

/** The tags that compressed sets stand for (PEP 425): `py3-none-any`, each once, sorted. */
export function expandTags({
  python,
  abi,
  platform,
}: Pick<WheelName, 'python' | 'abi' | 'platform'>): readonly string[] {
  const tags = python.flatMap((first) =>
    abi.flatMap((second) => platform.map((third) => `${first}-${second}-${third}`)),
  );
  return [...new Set(tags.map((tag) => tag.toLowerCase()))].sort();
}

const PLATFORM =
  /^(any|(linux|manylinux|musllinux|macosx|win|windows|android|ios|freebsd|netbsd|openbsd|solaris|aix|cygwin|pyodide|emscripten|wasi|graalpy).*)$/;

/**
 * Whether what stands among the platforms is a platform for any installer. A word such as `nightly` is none: some projects
 * mark wheels by it, which installers allow since another of the set fits.
 */
export function isPlatformTag(tag: string): boolean {
  return PLATFORM.test(tag.toLowerCase());
}

/** Reads `NAME-VERSION.tar.gz`; `undefined` for what cannot be the name of a source distribution. */
export function parseSdistName(name: string): SdistName | undefined {
  const stem = /^(?<stem>.+)\.tar\.gz$/.exec(name)?.groups?.stem;
  const at = stem?.lastIndexOf('-') ?? -1;
  if (stem === undefined || at < 1) return undefined;
  const project = stem.slice(0, at);
  const versionText = stem.slice(at + 1);
  const version = tryPythonVersion(versionText);
  return version && isProjectName(project) ? { project, version, versionText } : undefined;
}
