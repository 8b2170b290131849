import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { execa } from 'execa';
import { expect } from 'vitest';
import { startHost } from '../support/hosted.js';
import { CARPORT, createSandbox, type KeyFile, type Sandbox } from '../support/sandbox.js';
import { CANDIDATE, SECRETS } from './occasions.js';
import { type Artifact, type Job, readSample } from './pipelines.js';

type Variables = Readonly<Record<string, string>>;

/** A project with its repository, and machines that run jobs of it. */
export interface Runner {
  readonly box: Sandbox;
  readonly key: KeyFile;
  readonly commit: string;
  readonly bucket: string;
  readonly secrets: Variables;
  /** Runs jobs, each when those before it have ended, those of one kind at once. Gives what they printed. */
  run(jobs: readonly Job[], env: Variables): Promise<string>;
  /** What `make` does beside what it should, as lines for `sh` in the workspace. */
  makeAlso(lines: readonly string[]): Promise<void>;
  remove(): Promise<void>;
}

/** Where a build leaves an archive of its own making, which is handed on beside the one that it should give. */
export const SMUGGLED = 'smuggled';

/** What the project has beside the samples. */
const CHANGELOG = '# v1.2.0\n\nIs better.\n';

/**
 * `place` is a bucket and its access key, for which each carport has a process of its own; otherwise it is a directory, and
 * all are run by this process.
 */
export async function createRunner(
  place: { readonly to?: string; readonly secrets?: Variables } = {},
): Promise<Runner> {
  const box = await createSandbox();
  const key = await box.makeKey('releases.example.org-1');
  const secrets = { ...SECRETS, ...place.secrets, RELEASE_KEY: (await readFile(key.file, 'utf8')).trim() };
  const [origin, project, programs, calls] = ['origin.git', 'project', 'programs', 'calls'].map((name) =>
    box.path(name),
  );
  const system = { ...box.env, PATH: `${programs}:${process.env.PATH}` };
  const git = async (cwd: string, ...args: readonly string[]) => {
    const author = ['-c', 'user.name=Ann', '-c', 'user.email=ann@example.org'];
    const { stdout } = await execa('git', [...author, ...args], { cwd, env: system, extendEnv: false });
    return stdout;
  };
  await Promise.all([origin, project, programs, join(project!, 'ci')].map((path) => mkdir(path!, { recursive: true })));
  await git(box.root, 'init', '--quiet', '--bare', '--initial-branch=main', origin!);
  // As the repositories of forges: a commit can be asked for by its name.
  await git(origin!, 'config', 'uploadpack.allowAnySHA1InWant', 'true');
  await git(box.root, 'init', '--quiet', '--initial-branch=main', project!);
  for (const name of ['carport.toml', 'ci/with-release-key.sh'])
    await writeFile(join(project!, name), readSample(name));
  // carport is on PATH already.
  await writeFile(join(project!, 'ci/install-carport.sh'), ':\n');
  await writeFile(join(project!, 'CHANGELOG.md'), CHANGELOG);
  await git(project!, 'add', '.');
  await git(project!, 'commit', '--quiet', '-m', 'One');
  await git(project!, 'commit', '--quiet', '--allow-empty', '-m', 'Two');
  const commit = await git(project!, 'rev-parse', 'HEAD');
  await git(project!, 'tag', CANDIDATE);
  await git(project!, 'commit', '--quiet', '--allow-empty', '-m', 'Three');
  await git(project!, 'push', '--quiet', `file://${origin}`, 'main', CANDIDATE);

  const host = place.to === undefined ? await startHost(box.path('host')) : undefined;
  await program(join(programs!, 'carport'), [
    `printf '%s\\n' "$*" >> ${calls}`,
    `stat -c %a -- "$CARPORT_SECRET_KEY_FILES" >> ${calls}.modes`,
    `[ -z "$RELEASE_KEY" ] || printf 'carport sees RELEASE_KEY\\n' >> ${calls}`,
    ...(host?.lines ?? [`exec ${process.execPath} ${CARPORT} "$@"`]),
  ]);
  const makeAlso = (lines: readonly string[]) =>
    program(join(programs!, 'make'), [
      'mkdir -p result/bin',
      'printf "%s for %s\\n" "$2" "$TARGET" > result/bin/tool',
      '[ "$*" = "TARGET=$TARGET result/bin/tool" ]',
      ...lines,
    ]);
  await makeAlso([]);

  const clone = async ({ clone: kind }: Job, env: Variables) => {
    const directory = await mkdtemp(box.path('work', 'job-'));
    await git(directory, 'init', '--quiet');
    await git(directory, 'remote', 'add', 'origin', `file://${origin}`);
    const wanted = Object.values(env).includes(commit) ? commit : 'main';
    if (kind === 'branches') await git(directory, 'fetch', '--quiet', 'origin');
    await git(directory, 'fetch', '--quiet', ...(kind === 'commit' ? ['--depth=1'] : []), 'origin', wanted);
    await git(directory, 'checkout', '--quiet', 'FETCH_HEAD');
    return directory;
  };
  /** As GitHub has it: a job has a file that it appends directories to, for later steps of its own. */
  const pathsOf = async (file: string) => {
    const added = await readFile(file, 'utf8').catch(() => '');
    const PATH = [...added.split('\n').filter((line) => line !== ''), system.PATH].join(delimiter);
    return { PATH, GITHUB_PATH: file };
  };
  const runJob = async (job: Job, env: Variables, given: readonly Given[]) => {
    const cwd = await clone(job, env);
    if (job.takes) {
      for (const { from, to } of given) await copyTree(from, join(cwd, to));
    }
    const paths = env.GITHUB_ACTIONS ? box.path('tmp', `step-${Math.random()}`) : undefined;
    let output = '';
    for (const { shell, script, env: own } of job.steps) {
      const file = box.path('tmp', `step-${Math.random()}`);
      await writeFile(file, script);
      const [name, ...args] = [...shell, file];
      const variables = { ...system, ...(paths && (await pathsOf(paths))), ...env, ...own };
      const ran = await execa(name!, args, {
        ...{ cwd, env: variables, extendEnv: false, reject: false, all: true },
      });
      output += `${ran.all}\n`;
      if (ran.exitCode !== 0) throw new Error(`${job.name}: \`${script}\` exited with ${ran.exitCode}:\n${ran.all}`);
    }
    return { output, given: job.gives ? givenBy(job.gives, cwd) : [] };
  };
  const bucket = box.path('bucket');
  return {
    ...{ box, key, commit, bucket, secrets, makeAlso },
    async remove() {
      host?.close();
      await box.remove();
    },
    async run(jobs, env) {
      const address = `file://${origin}`;
      const addresses = { DRONE_GIT_HTTP_URL: address, CI_REPO_CLONE_URL: address, CI_REPOSITORY_URL: address };
      const variables = { ...env, ...addresses, CARPORT_TO: place.to ?? `file://${bucket}` };
      const waves = [...new Set(jobs.map(({ name }) => depthOf(name, jobs)))].sort();
      let output = '';
      const given: Given[] = [];
      for (const wave of waves) {
        const chosen = jobs.filter(({ name }) => depthOf(name, jobs) === wave);
        const settled = await Promise.allSettled(chosen.map((job) => runJob(job, variables, given)));
        const ended = settled.map((each) => {
          if (each.status === 'rejected') throw each.reason;
          return each.value;
        });
        output += ended.map((each) => each.output).join('');
        given.push(...ended.flatMap((each) => each.given));
      }
      const seen = await readFile(calls!, 'utf8').catch(() => '');
      for (const secret of Object.values(secrets)) expect(output + seen, 'a secret was printed').not.toContain(secret);
      expect(seen).not.toContain('carport sees RELEASE_KEY');
      const modes = await readFile(`${calls}.modes`, 'utf8');
      expect(new Set(modes.trim().split('\n'))).toEqual(new Set(['600']));
      const left = await readdir(box.path('tmp'), { withFileTypes: true });
      const files = left.filter((entry) => entry.isFile() && !entry.name.startsWith('step-'));
      expect(files, 'the key was left').toEqual([]);
      return output;
    },
  };
}

/** Files that come from one job's workspace to a place in another's. */
interface Given {
  readonly from: string;
  readonly to: string;
}

function givenBy({ path, name, into }: Artifact, workspace: string): readonly Given[] {
  const smuggled = join(workspace, SMUGGLED);
  return [
    { from: join(workspace, path), to: join(into, name) },
    ...(existsSync(smuggled) ? [{ from: smuggled, to: into }] : []),
  ];
}

/** As archives are unpacked: over what is there, links as links. */
async function copyTree(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await execa('cp', ['-RPT', '--remove-destination', from, to]);
}

/** How many jobs wait for each other before this one; those that are not run now have ended. */
function depthOf(name: string, jobs: readonly Job[]): number {
  const needs = jobs.find((job) => job.name === name)?.needs ?? [];
  const awaited = needs.filter((each) => jobs.some((job) => job.name === each));
  return awaited.length === 0 ? 0 : 1 + Math.max(...awaited.map((each) => depthOf(each, jobs)));
}

/** Makes a script that can be run. */
export async function program(path: string, lines: readonly string[]): Promise<void> {
  await writeFile(path, ['#!/bin/sh', ...lines, ''].join('\n'));
  await chmod(path, 0o755);
}
