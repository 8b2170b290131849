/** The commands `release tag` and `release branch`. */

import { CarportError } from '../../../lib/errors.js';
import { splitComponent, versionOfTag } from '../../../release/component.js';
import { type Git, gitIn } from '../../../release/steps/git.js';
import { type Mark, makeMark } from '../../../release/steps/mark.js';
import { projectVersion } from '../../../release/steps/planned-bump.js';
import { checkTag } from '../../../release/version.js';
import { type Context, note, workingDirectory, writeJson, writeLines } from '../../cli/context.js';
import { printableLine } from '../../cli/printable.js';
import { warnPeople } from '../../cli/warnings.js';
import { type BumpTable, readBumpTable } from '../../settings/tables/bump.js';
import type { BranchOptions, TagOptions } from './command.js';

export async function tag(word: string | undefined, options: TagOptions, context: Context): Promise<void> {
  await mark('tag', word, options, context);
}

export async function branch(word: string | undefined, options: BranchOptions, context: Context): Promise<void> {
  await mark('branch', word, options, context);
}

type MarkOptions = BranchOptions & Partial<Pick<TagOptions, 'sign' | 'message'>>;

async function mark(
  kind: 'tag' | 'branch',
  word: string | undefined,
  options: MarkOptions,
  context: Context,
): Promise<void> {
  const table = await readBumpTable(context);
  const ofTree = table && table.places.length > 0 ? await projectVersion(table.directory, table.places) : undefined;
  const name = nameOf(kind, { word, ofTree }, table);
  const git = gitIn(workingDirectory(context), context.env);
  const remote = await remoteOf(git, options);
  const warn = warnPeople(context);
  const made = await makeMark(git, {
    ...{ kind, name, remote, push: options.push, dryRun: options.dryRun, allowUntracked: options.allowUntracked },
    ...{ branches: table?.branches ?? [], message: options.message ?? name, sign: options.sign ?? false },
    warn: (message) => warn({ type: 'warning', message }),
  });
  if (ofTree === undefined) {
    note(context, options, 'no `[bump]` in carport.toml says where the version stands: it was compared with no file');
  }
  await tell(kind, { ...made, name, remote }, options, context);
}

interface Versions {
  /** As it was given. */
  readonly word: string | undefined;
  /** As the files have it. */
  readonly ofTree: string | undefined;
}

/** What the tag or branch is called. Throws `E_USAGE` for a version that the files have not. */
function nameOf(kind: 'tag' | 'branch', { word, ofTree }: Versions, table: BumpTable | undefined): string {
  const template = kind === 'tag' ? table?.tag : (table?.branch ?? 'release-{version}');
  const given = word === undefined ? ofTree : (within(template, word) ?? word);
  if (given === undefined) {
    throw new CarportError('E_USAGE', 'it is not said which version', {
      hint: 'name it, or write `[bump]` and `files = ["VERSION"]` into carport.toml',
    });
  }
  const proper = plain(splitComponent(versionOfTag(given)).proper);
  if (ofTree !== undefined && proper !== plain(ofTree)) {
    throw new CarportError('E_USAGE', `the version of the tree is ${ofTree}, and not ${proper} (\`${table!.file}\`)`, {
      hint: '`carport release bump --to VERSION` changes it; commit that first',
    });
  }
  const name =
    template === undefined ? (word ?? `v${plain(given)}`) : template.replace('{version}', () => plain(given));
  if (kind === 'tag') checkTag(name, 'the tag');
  return name;
}

/** The version in a name that is made by the template. */
function within(template: string | undefined, name: string): string | undefined {
  const [before, behind] = template?.split('{version}') ?? [];
  if (before === undefined || behind === undefined) return undefined;
  const isMade = name.length > before.length + behind.length && name.startsWith(before) && name.endsWith(behind);
  return isMade ? name.slice(before.length, name.length - behind.length) : undefined;
}

function plain(version: string): string {
  return version.replace(/^v(?=[0-9])/, '');
}

/** The remote that is named, else that of the branch, else `origin`, else the only one. Throws `E_USAGE` where there is none to push to. */
async function remoteOf(git: Git, { remote, push }: MarkOptions): Promise<string | undefined> {
  const { exitCode, stdout } = await git.ask('remote');
  const remotes = exitCode === 0 ? stdout.split('\n').filter((name) => name !== '') : [];
  if (remote !== undefined) {
    if (remotes.includes(remote)) return remote;
    throw new CarportError('E_USAGE', `this clone has no remote \`${remote}\``, {
      hint: remotes.length > 0 ? `it has ${remotes.join(', ')}` : '`git remote add NAME URL` makes one',
    });
  }
  const { stdout: branchName } = await git.ask('symbolic-ref', '--quiet', '--short', 'HEAD');
  const { stdout: own } =
    branchName === '' ? { stdout: '' } : await git.ask('config', '--get', `branch.${branchName}.remote`);
  const [only] = remotes.length === 1 ? remotes : [];
  const found = [own, 'origin', only].find((name) => name !== undefined && remotes.includes(name));
  if (found !== undefined || !push) return found;
  throw new CarportError('E_USAGE', 'it is not known where to push to', { hint: 'name a remote: `--remote NAME`' });
}

interface Told extends Mark {
  readonly name: string;
  readonly remote: string | undefined;
}

async function tell(kind: 'tag' | 'branch', made: Told, options: MarkOptions, context: Context): Promise<void> {
  const { name, ref, commit, created, pushed, remote = null } = made;
  const { dryRun } = options;
  if (options.json) return writeJson(context.stdout, { [kind]: name, ref, commit, created, pushed, remote, dryRun });
  await writeLines(context.stdout, [printableLine(name)]);
  const at = `\`${name}\` at ${commit.slice(0, 12)}`;
  note(context, options, `${at}: ${created ? (dryRun ? 'would be made' : 'made') : 'is there already'}`);
  if (options.push) {
    const done = pushed ? (dryRun ? 'would be pushed to' : 'pushed to') : 'is there already in';
    note(context, options, `${at}: ${done} \`${remote}\``);
  }
}
