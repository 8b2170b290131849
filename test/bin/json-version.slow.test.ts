import { mkdir, writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { expect, it } from 'vitest';
import { createWholeProgram } from '#bin/program.js';
import { fakeContext } from '../support/context.js';
import { useSampleCache } from '../support/sample-cache.js';

const SHA = 'a'.repeat(40);
const PUT = `--target x86_64-linux --commit ${SHA} --secret-key KEY --cache BUCKET --retry-seconds 1`;

/** A line for each command, in an order in which they find what they need; words in capitals are places. */
const LINES = [
  'cache init NEW --secret-key KEY',
  'cache info CACHE',
  'cache ls CACHE',
  'cache config CACHE --priority 30',
  'cache stats CACHE',
  'cache page CACHE',
  'cache sign CACHE --secret-key KEY --dry-run',
  'cache gc CACHE --trusted-key PUBLIC',
  'cache fsck CACHE --trusted-key PUBLIC',
  'cache copy --from CACHE --to COPY TOP --dry-run --trusted-key PUBLIC',
  'cache export CACHE --parquet WORK/export',
  'cache erase CACHE --dry-run',
  'push TOP --store STORE --to CACHE --secret-key KEY --pin tool',
  'pin set other TOP --cache CACHE --store STORE --secret-key KEY',
  'pin ls --cache CACHE --trusted-key PUBLIC',
  'pin rm other --cache CACHE --secret-key KEY',
  'pull tool --from CACHE --trusted-key PUBLIC --store MINE',
  'lock --from CACHE --trusted-key PUBLIC',
  'outdated --store MINE --from CACHE --trusted-key PUBLIC',
  'closure TOP --store STORE',
  'export TOP --store STORE --out WORK/closure.nar',
  'import WORK/closure.nar --store MINE --allow-unsigned',
  'store add WORK/file --store MINE',
  'store ls --store MINE',
  'store info TOP --store MINE',
  'store verify --store MINE',
  'store gc --store MINE --dry-run',
  'store forget tool --store MINE',
  'store delete TOP --store MINE --dry-run',
  'key generate new-1 --out WORK/new.sec',
  'key public KEY',
  'key sign WORK/file --secret-key KEY',
  'key verify WORK/file --minisign-key MINISIGN',
  'key publish --cache CACHE --secret-key KEY --dry-run',
  'key rotate --cache CACHE --secret-key KEY --successor OTHER --dry-run',
  'use CACHE --key PUBLIC --yes --dry-run',
  'config show',
  'version',
  'hash file WORK/file',
  'hash path WORK/file',
  'narinfo show NARINFO',
  `ci env --tag v1.0.0 --commit ${SHA}`,
  `release put WORK/file --tag v1.0.0 ${PUT}`,
  `release put WORK/file --tag v1.1.0-rc.1 ${PUT.replace(SHA, 'b'.repeat(40))}`,
  'index publish --cache BUCKET --secret-key KEY',
  'index build --cache BUCKET --out WORK/index --trusted-key PUBLIC',
  'image build WORK/file --name app:v1 --out WORK/image',
  'image copy oci:WORK/image:v1 WORK/image.tar',
  'image ls WORK/image',
  'image inspect WORK/image.tar',
  'release ls --cache BUCKET --trusted-key PUBLIC',
  'release show v1.0.0 --cache BUCKET --trusted-key PUBLIC',
  'release promote v1.1.0-rc.1 --to stable --as v1.1.0 --cache BUCKET --secret-key KEY --dry-run',
  'release download v1.0.0 --cache BUCKET --trusted-key PUBLIC --out WORK/got',
  'release yank v1.0.0 --reason broken --cache BUCKET --secret-key KEY',
  'release unyank v1.0.0 --cache BUCKET --secret-key KEY',
  'release prune --cache BUCKET --secret-key KEY --keep 1',
];

/** What has no object of its own with `--json`, and why. */
const OTHERS: Readonly<Record<string, string>> = {
  run: 'another program',
  shell: 'another program',
  watch: 'another program',
  hook: 'lines of a log; tried with Nix',
  'cache cat': 'bytes',
  serve: 'lines while it serves; tried by its own test',
  'nar pack': 'bytes',
  'nar unpack': 'nothing',
  'nar ls': "Nix's shape",
  'derivation show': "Nix's shape",
  'cache refresh-toolchain': 'a push; tried with Nix',
  env: 'tried where there is bubblewrap',
  shims: 'tried where there is bubblewrap',
  completion: 'a script',
  'ci sign': 'tried with a server of Drone',
  'release bump': 'tried in a project',
  'release tag': 'tried with git',
  'release branch': 'tried with git',
  'release notes': 'tried with git',
  'release wheel-retag': 'tried with wheels',
  'release upload-pypi': 'tried with an index of packages',
  'release forge-publish': 'tried with a forge',
  'image publish': 'tried with a registry',
  'image prune': 'tried with a registry',
  'image sign': 'tried with a registry',
  'image verify': 'tried with a registry',
  'image push': 'tried with a registry',
  'image index': 'tried with a registry',
};

const sample = useSampleCache();

function pathsOf(command: Command, path: readonly string[] = []): readonly string[] {
  if (command.commands.length === 0) return [path.join(' ')];
  return command.commands.flatMap((child) => pathsOf(child, [...path, child.name()]));
}

it('each command with `--json` prints an object with `version`, or such lines', async () => {
  const { shared, samples, cache, keyFile } = sample();
  const work = shared.path('work');
  await mkdir(work, { recursive: true });
  await writeFile(`${work}/file`, 'text\n');
  await writeFile(`${work}/carport.toml`, '[toolchains]\ngcc = "tool"\n');
  const other = await shared.makeKey('next-1');
  const minisign = await shared.succeed(['key', 'public', keyFile.file, '--minisign']);
  const places: Readonly<Record<string, string>> = {
    ...{ CACHE: cache, STORE: samples.root, TOP: samples.top.path, KEY: keyFile.file, PUBLIC: keyFile.publicKey },
    ...{ NEW: shared.path('new'), COPY: shared.path('copy'), MINE: shared.path('mine'), BUCKET: shared.path('bucket') },
    ...{ OTHER: other.publicKey, MINISIGN: minisign.stdout.trim().split('\n').at(-1)! },
    NARINFO: `${cache}/${samples.top.path.slice('/nix/store/'.length).slice(0, 32)}.narinfo`,
  };
  const wrong: string[] = [];
  for (const line of LINES) {
    const words = line.split(' ').map((word) => places[word] ?? word.replace('WORK', work));
    const { exitCode, stdout, stderr } = await shared.carport([...words, '--json']);
    if (exitCode !== 0 || !hasVersion(stdout)) wrong.push(`${line}: ${exitCode} ${stdout.slice(0, 300)} ${stderr}`);
  }
  expect(wrong).toEqual([]);
  const paths = pathsOf(await createWholeProgram(fakeContext()));
  const told = paths.filter((path) => path in OTHERS || LINES.some((line) => `${line} `.startsWith(`${path} `)));
  expect(told).toEqual(paths);
}, 240_000);

/** Whether a text is one object with a version, or each of its lines is. */
function hasVersion(text: string): boolean {
  const documents = parse([text]) ?? parse(text.trimEnd().split('\n')) ?? [{}];
  return documents.every(({ version }) => version !== undefined);
}

function parse(texts: readonly string[]): readonly { readonly version?: unknown }[] | undefined {
  try {
    return texts.map((text) => JSON.parse(text) as { readonly version?: unknown });
  } catch {
    return undefined;
  }
}
