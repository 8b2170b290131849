/** Tags and branches of releases: what must hold before one is made, and how it is made and pushed. */

import { CarportError } from '../../lib/errors.js';
import { matchesWildcard } from '../wildcard.js';
import { type Git, gitError } from './git.js';

/** A ref that is to be at HEAD. */
export interface MarkRequest {
  readonly kind: 'tag' | 'branch';
  readonly name: string;
  /** The remote to ask; nothing where there is none. */
  readonly remote: string | undefined;
  readonly push: boolean;
  readonly dryRun: boolean;
  readonly allowUntracked: boolean;
  /** Whether one of these branches must be checked out, in which `*` stands for any characters; none for no such rule. */
  readonly branches: readonly string[];
  /** Of a tag. */
  readonly message: string;
  readonly sign: boolean;
  warn(message: string): void;
}

/** What has become of it. In a dry run, what would. */
export interface Mark {
  readonly ref: string;
  readonly commit: string;
  readonly created: boolean;
  readonly pushed: boolean;
}

/** Where a ref is: the object that it names, and the commit that this leads to. */
interface Place {
  readonly object: string;
  readonly commit: string;
}

/**
 * Makes a tag or a branch at HEAD, and pushes it where that is asked. One that is there at this commit is fine, and so a run that
 * broke off is run again. Throws `E_USAGE` for a tree that is not clean, a wrong branch and a name that is no ref, `E_GATE` for one that
 * is elsewhere at another commit, or is not signed where that is asked, `E_NOT_FOUND` without a commit, `E_PROGRAM` with what git
 * said, `E_REMOTE` for a push that is refused.
 */
export async function makeMark(git: Git, request: MarkRequest): Promise<Mark> {
  const { kind, name } = request;
  const ref = `refs/${kind === 'tag' ? 'tags' : 'heads'}/${name}`;
  if (name.startsWith('-') || (await git.ask('check-ref-format', ref)).exitCode !== 0) {
    throw new CarportError('E_USAGE', `\`${name}\` cannot be the name of a ${kind}`);
  }
  const commit = await headOf(git);
  await checkTree(git, request);
  await checkBranch(git, request.branches);
  const here = await placeOf(git, ref);
  if (here && here.commit !== commit) throw elsewhere(request, 'this clone', here.commit, commit);
  const there = await remotePlace(git, request, ref);
  if (there && there.commit !== commit)
    throw elsewhere(request, `the remote \`${request.remote}\``, there.commit, commit);
  if (here) await checkSigned(git, request, here);
  const mark = { ref, commit, created: here === undefined, pushed: request.push && there === undefined };
  if (request.dryRun) return mark;
  if (here === undefined) await make(git, request, ref, { commit, there });
  if (here === undefined && there) await checkSigned(git, request, there);
  if (mark.pushed) await push(git, request, ref);
  return mark;
}

async function headOf(git: Git): Promise<string> {
  const { exitCode, stdout, failure } = await git.ask(
    'rev-parse',
    '--verify',
    '--quiet',
    '--end-of-options',
    'HEAD^{commit}',
  );
  if (exitCode === 0) return stdout;
  const top = await git.ask('rev-parse', '--git-dir');
  if (top.exitCode !== 0) throw gitError('git finds no checkout here', top.failure ?? failure);
  throw new CarportError('E_NOT_FOUND', 'this checkout has no commit', { hint: 'commit what is to be released first' });
}

/** Files that an error names. */
const NAMED = 5;

async function checkTree(git: Git, { allowUntracked }: MarkRequest): Promise<void> {
  const untracked = `--untracked-files=${allowUntracked ? 'no' : 'normal'}`;
  const output = await git.tell(
    'status',
    '--porcelain=v1',
    '-z',
    untracked,
    '--ignore-submodules=none',
    '--no-renames',
  );
  const changed = output.split('\0').filter((entry) => entry !== '');
  if (changed.length === 0) return;
  const names = changed.slice(0, NAMED).map((entry) => `\`${entry.slice(3)}\``);
  const more = changed.length > NAMED ? ` and ${changed.length - NAMED} more` : '';
  const isUntracked = changed.every((entry) => entry.startsWith('??'));
  throw new CarportError(
    'E_USAGE',
    `the tree is not clean: ${names.join(', ')}${more} ${isUntracked ? 'not known to git' : 'changed'}`,
    {
      hint: isUntracked
        ? 'commit them, name them in .gitignore, or go on with `--allow-untracked`'
        : 'commit or stash what has changed: a release is what others can check out',
    },
  );
}

async function checkBranch(git: Git, branches: readonly string[]): Promise<void> {
  if (branches.length === 0) return;
  const { stdout: branch } = await git.ask('symbolic-ref', '--quiet', '--short', 'HEAD');
  const isAllowed = branches.some((pattern) => matchesWildcard(pattern, branch));
  if (branch !== '' && isAllowed) return;
  const where = branch === '' ? 'no branch is checked out' : `\`${branch}\` is checked out`;
  throw new CarportError(
    'E_USAGE',
    `${where}, and releases are made of ${branches.map((each) => `\`${each}\``).join(', ')}`,
    {
      hint: '`git switch BRANCH` goes there; `branches` of `[bump]` in carport.toml says which',
    },
  );
}

async function placeOf(git: Git, ref: string): Promise<Place | undefined> {
  const { stdout: object } = await git.ask('rev-parse', '--verify', '--quiet', '--end-of-options', ref);
  if (object === '') return undefined;
  const { stdout: commit } = await git.ask('rev-parse', '--verify', '--quiet', '--end-of-options', `${ref}^{commit}`);
  return { object, commit };
}

async function remotePlace(git: Git, { remote, push, warn }: MarkRequest, ref: string): Promise<Place | undefined> {
  if (remote === undefined) return undefined;
  const { exitCode, stdout, failure } = await git.ask('ls-remote', '--quiet', '--', remote, ref, `${ref}^{}`);
  if (exitCode !== 0) {
    const error = gitError(
      `the remote \`${remote}\` cannot be asked`,
      failure,
      'see `git remote -v`, and whether your key or token is accepted there',
    );
    if (push) throw error;
    warn(`it is not known whether the remote \`${remote}\` has it: ${(failure ?? '').trim().split('\n').at(-1)}`);
    return undefined;
  }
  const found = new Map(stdout.split('\n').map((line) => line.split('\t').toReversed() as [string, string]));
  const object = found.get(ref);
  return object === undefined ? undefined : { object, commit: found.get(`${ref}^{}`) ?? object };
}

function elsewhere({ kind, name }: MarkRequest, where: string, other: string, commit: string): CarportError {
  const at = other === '' ? 'at what is no commit' : `at ${other}`;
  return new CarportError('E_GATE', `${where} has the ${kind} \`${name}\` ${at}, and HEAD is ${commit}`, {
    hint:
      kind === 'tag'
        ? 'others may have it already: release another version. Whoever must move it does so with git'
        : 'check out that commit, or release another version',
  });
}

interface At {
  readonly commit: string;
  readonly there: Place | undefined;
}

/** A tag that is there already is no signed one by being asked for. Whose signature it is, `git tag --verify` tells. */
async function checkSigned(git: Git, { kind, name, sign }: MarkRequest, { object }: Place): Promise<void> {
  if (kind !== 'tag' || !sign) return;
  const { stdout } = await git.ask('cat-file', 'tag', object);
  if (/^-----BEGIN (PGP|SSH) SIGNATURE-----$|^-----BEGIN (PGP MESSAGE|SIGNED MESSAGE)-----$/m.test(stdout)) return;
  throw new CarportError('E_GATE', `the tag \`${name}\` is there already, and is not signed`, {
    hint: 'go on without `--sign`; or, where nobody else has it, take it back with `git tag --delete`, and run this again',
  });
}

/** What the remote has is fetched, so that there are no two tags of one name. */
async function make(
  git: Git,
  { kind, name, message, sign, remote }: MarkRequest,
  ref: string,
  { commit, there }: At,
): Promise<void> {
  if (there && kind === 'tag') {
    await git.tell('fetch', '--quiet', '--no-tags', '--no-recurse-submodules', '--', remote!, `${ref}:${ref}`);
    return;
  }
  const made =
    kind === 'branch'
      ? await git.ask('branch', '--no-track', '--end-of-options', name, commit)
      : await git.ask('tag', sign ? '--sign' : '--annotate', `--message=${message}`, '--end-of-options', name, commit);
  if (made.exitCode === 0) return;
  throw gitError(
    `git makes no ${kind} \`${name}\``,
    made.failure,
    sign ? '`git config user.signingKey` and `gpg.format` say which key signs' : undefined,
  );
}

/** With exactly this ref, whatever the repository is set up to push. */
async function push(git: Git, { kind, name, remote }: MarkRequest, ref: string): Promise<void> {
  const { exitCode, failure, stderr } = await git.ask(
    ...['push', '--quiet', '--no-follow-tags', '--recurse-submodules=no', '--end-of-options', remote!, `${ref}:${ref}`],
  );
  if (exitCode === 0) return;
  const isShallow = /\(shallow update not allowed\)/.test(stderr);
  throw new CarportError('E_REMOTE', `the remote \`${remote}\` does not take the ${kind} \`${name}\``, {
    cause: new Error(failure ?? 'it did not say why'),
    hint: isShallow
      ? '`git fetch --unshallow` first: the remote wants its whole history'
      : `it is made here: when the remote takes it, run this again, or take it back with \`git ${kind} ${kind === 'tag' ? '--delete' : '-D'} ${name}\``,
  });
}
