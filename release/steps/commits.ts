/** The commits of a release: those since the release before it, as git tells them. */

import { CarportError } from '../../lib/errors.js';
import { compareVersions } from '../catalog/version-order.js';
import { componentOf, splitComponent, versionOfTag } from '../component.js';
import type { ChannelRule } from '../version.js';
import type { Git } from './git.js';

/** One commit, as it is listed. */
export interface Commit {
  readonly id: string;
  /** Its first line. */
  readonly subject: string;
}

/** What has happened since the release before. */
export interface Commits {
  /** The newest first, in git's topological order; merges are left out. */
  readonly commits: readonly Commit[];
  /** The tag that they begin behind; nothing where the first release has all of them. */
  readonly since: string | undefined;
}

export interface CommitsRequest {
  /** A version, which need not have a tag yet. Without one it is what is at HEAD. */
  readonly version?: string | undefined;
  /** The tag to begin behind, in place of the one that is found. */
  readonly since?: string | undefined;
  readonly channelOf: ChannelRule;
}

/** More than anybody reads. */
const MOST_COMMITS = 20_000;

/** A tag, and the commit that it leads to. */
interface Tag {
  readonly name: string;
  readonly commit: string;
}

/**
 * The commits of a version: up to its tag, or to HEAD where it has none, since the release before it. That is, for a stable
 * version, the highest stable one below it, and for others the nearest tag; both of the same component, and in the history of
 * the version. Throws `E_NOT_FOUND` for a tag that is not there, `E_UNSUPPORTED` for a shallow clone, `E_PROGRAM` where git fails.
 */
export async function readCommits(git: Git, { version, since, channelOf }: CommitsRequest): Promise<Commits> {
  if ((await git.tell('rev-parse', '--is-shallow-repository')) === 'true') {
    throw new CarportError('E_UNSUPPORTED', 'this clone is shallow: it does not know which commits are new', {
      hint: '`git fetch --unshallow --tags` gets the rest',
    });
  }
  const all = await tagsOf(git);
  const own = version === undefined ? undefined : all.find((tag) => isOf(tag, version));
  const end = await commitAt(git, own ? `refs/tags/${own.name}` : 'HEAD');
  const before = since === undefined ? await tagBefore(git, end, version, { all, channelOf }) : tagNamed(all, since);
  const range = before ? [end, `^${before.commit}`] : [end];
  const output = await git.tell(
    ...['log', '--no-merges', '--topo-order', `--max-count=${MOST_COMMITS}`, '--no-show-signature', '--no-color'],
    ...['--format=%H %s', '--end-of-options', ...range, '--'],
  );
  const commits = output.split('\n').flatMap((line) => {
    const space = line.indexOf(' ');
    return space < 0 ? [] : [{ id: line.slice(0, space), subject: line.slice(space + 1).trim() }];
  });
  return { commits, since: before?.name };
}

function tagNamed(tags: readonly Tag[], since: string): Tag {
  const found = tags.find((tag) => tag.name === since) ?? tags.find((tag) => isOf(tag, since));
  if (found) return found;
  throw new CarportError('E_NOT_FOUND', `this checkout has no tag \`${since}\``, {
    hint: '`git fetch --tags` gets those of the remote, and `git tag --list` lists what is here',
  });
}

/** `1.2.0` is meant by the tag `v1.2.0`, too. */
function isOf({ name }: Tag, version: string): boolean {
  const [a, b] = [splitComponent(versionOfTag(name)), splitComponent(versionOfTag(version))];
  const plain = (proper: string) => proper.replace(/^v(?=\d)/i, '');
  return a.component === b.component && plain(a.proper) === plain(b.proper);
}

/** All tags of commits, that of an annotated tag in its place. */
async function tagsOf(git: Git, ...more: readonly string[]): Promise<readonly Tag[]> {
  const format = '%(refname) %(objecttype) %(objectname) %(*objecttype) %(*objectname)';
  const output = await git.tell('for-each-ref', `--format=${format}`, ...more, 'refs/tags');
  return output.split('\n').flatMap((line) => {
    const [ref = '', type, id, peeledType, peeled] = line.split(' ');
    const commit = type === 'commit' ? id : peeledType === 'commit' ? peeled : undefined;
    return commit ? [{ name: ref.slice('refs/tags/'.length), commit }] : [];
  });
}

/** The commit that a ref leads to. */
async function commitAt(git: Git, ref: string): Promise<string> {
  const { stdout } = await git.ask('rev-parse', '--verify', '--quiet', '--end-of-options', `${ref}^{commit}`);
  if (stdout !== '') return stdout;
  throw new CarportError('E_NOT_FOUND', `there is no commit at \`${ref}\` of this checkout`, {
    hint: 'commit something first',
  });
}

interface Among {
  readonly all: readonly Tag[];
  readonly channelOf: ChannelRule;
}

async function tagBefore(
  git: Git,
  end: string,
  version: string | undefined,
  { channelOf }: Among,
): Promise<Tag | undefined> {
  const component = version === undefined ? undefined : componentOf(versionOfTag(version));
  const merged = (await tagsOf(git, `--merged=${end}`)).filter(
    (tag) => componentOf(versionOfTag(tag.name)) === component && (version === undefined || !isOf(tag, version)),
  );
  const versionOf = ({ name }: Tag) => versionOfTag(name);
  const stable = merged.filter((tag) => channelOf(versionOf(tag)) === 'stable');
  const own = version === undefined ? undefined : versionOfTag(version);
  // Without its `v` a version is no stable one by most patterns.
  const isStable = own !== undefined && [own, withV(own)].some((each) => channelOf(each) === 'stable');
  if (isStable) {
    const below = stable.filter((tag) => compareVersions(versionOf(tag), own) < 0);
    return below.sort((a, b) => compareVersions(versionOf(b), versionOf(a)))[0];
  }
  return nearest(git, end, merged);
}

function withV(version: string): string {
  const { component, proper } = splitComponent(version);
  return `${component === undefined ? '' : `${component}@`}v${proper}`;
}

/** The tag of the youngest commit before the end, of those of one commit the highest version. */
async function nearest(git: Git, end: string, tags: readonly Tag[]): Promise<Tag | undefined> {
  if (tags.length === 0) return undefined;
  const listed = await git.tell('rev-list', '--date-order', '--simplify-by-decoration', '--end-of-options', end, '--');
  const order = new Map(listed.split('\n').map((commit, index) => [commit, index]));
  const place = ({ commit }: Tag) => order.get(commit) ?? Number.POSITIVE_INFINITY;
  const before = tags.filter(({ commit }) => commit !== end);
  return before.sort((a, b) => place(a) - place(b) || compareVersions(versionOfTag(b.name), versionOfTag(a.name)))[0];
}
