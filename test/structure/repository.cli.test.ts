import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readDocument, TOP } from '../support/markdown.js';

interface Manifest {
  readonly name: string;
  readonly exports: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

interface LockedPackage {
  readonly version?: string;
  readonly resolved?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const manifest = JSON.parse(readDocument('package.json')) as Manifest;

describe('the files of the repository', () => {
  const files = trackedFiles();

  it.skipIf(files === undefined)('name no place of one machine, and no registry', () => {
    expect(files!.length).toBeGreaterThan(200);
    expect(files!.flatMap(machineNames)).toEqual([]);
  });

  it('would be found to name them', () => {
    expect(mentions(['see /wo', 'rk/main/lib'].join(''))).toHaveLength(1);
    expect(mentions(['"resolved": "https://regis', 'try.example/x.tgz"'].join(''))).toHaveLength(1);
    expect(mentions('a build in /build/source/work, a /nix/store path, file:///srv/cache')).toEqual([]);
  });
});

describe('the package', () => {
  it('exports its two libraries and nothing else', () => {
    expect(Object.keys(manifest.exports)).toEqual(['./nix', './signing']);
    const targets = Object.values(manifest.exports).flatMap((conditions) => Object.values(conditions));
    expect(targets.filter((target) => !/^\.\/dist\/lib\/(nix|signing)\/index\.(d\.ts|js)$/.test(target))).toEqual([]);
  });

  it('can be imported by its name', async () => {
    const [nix, signing] = await Promise.all([import('carport/nix'), import('carport/signing')]);
    expect(nix.parseNarInfo).toBeTypeOf('function');
    expect(signing.signPath).toBeTypeOf('function');
  });

  it('has types where its manifest says', () => {
    for (const { types } of Object.values(manifest.exports)) expect(readDocument(types!)).toContain('export');
  });

  it('keeps the rest to itself', async () => {
    const specifiers = ['carport', 'carport/store', 'carport/dist/lib/errors.js', 'carport/package.json'];
    for (const specifier of specifiers) {
      await expect(import(/* @vite-ignore */ specifier)).rejects.toThrow();
    }
  });
});

describe.each(['package-lock.json', 'site/package-lock.json'])('the lock file %s', (path) => {
  const { packages: locked } = JSON.parse(readDocument(path)) as { packages: Record<string, LockedPackage> };

  it('has every optional package that another names: `npm ci` refuses it otherwise', () => {
    const missing = Object.entries(locked).flatMap(([from, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter((name) => !isLocked(locked, from, name)),
    );
    expect(missing).toEqual([]);
  });

  it('names no place to download from', () => {
    expect(Object.entries(locked).filter(([, { resolved }]) => resolved !== undefined)).toEqual([]);
  });
});

describe('the changelog', () => {
  const entries = readdirSync(join(TOP, 'changelog/unreleased')).map((name) => [name, readEntry(name)] as const);

  it.each(entries)('has an entry as changelog/TEMPLATE.md says: %s', (name, text) => {
    expect(name).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*\.md$/);
    const paragraphs = text.trimEnd().split('\n\n');
    expect(paragraphs[0]).toMatch(/^(Bugfix|Change|Enhancement|Security): [A-Z].{5,80}[^.\n]$/);
    expect(paragraphs[0]!.length).toBeLessThanOrEqual(100);
    expect(paragraphs.length).toBeGreaterThanOrEqual(4);
    expect(paragraphs.at(-1)).toMatch(/^Issue \d+(, \d+)*$/);
    expect(text.endsWith('\n')).toBe(true);
  });
});

function readEntry(name: string): string {
  return readDocument(`changelog/unreleased/${name}`);
}

/** What git knows; `undefined` in a copy without git. */
function trackedFiles(): readonly string[] | undefined {
  const { status, stdout } = spawnSync('git', ['ls-files', '-z'], { cwd: TOP, encoding: 'utf8' });
  return status === 0 ? stdout.split('\0').filter((name) => name !== '') : undefined;
}

function machineNames(path: string): readonly string[] {
  let text: string;
  try {
    text = readFileSync(join(TOP, path), 'latin1');
  } catch {
    return [];
  }
  return mentions(text).map((found) => `${path}: ${found}`);
}

/** Home directories, the work place of a build machine, and package registries. */
function mentions(text: string): readonly string[] {
  const places = /(?<![\w.])\/(?:work\/|home\/\w+\/|root\/\.|Users\/\w+\/)[\w.]+/g;
  const registries = /https?:\/\/[^\s/"']*(?:registry|npm|yarn|artifactory|jfrog)[^\s/"']*/g;
  return [...text.matchAll(places), ...text.matchAll(registries)].map(([found]) => found);
}

/** Whether Node would find the package from there. */
function isLocked(locked: Readonly<Record<string, LockedPackage>>, from: string, name: string): boolean {
  const parts = from.split('/node_modules/');
  const places = parts.map((_, index) => parts.slice(0, index + 1).join('/node_modules/'));
  return ['', ...places].some((place) => `${place === '' ? '' : `${place}/`}node_modules/${name}` in locked);
}
