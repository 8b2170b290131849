/** URLs of keys, and of forges' pages. */

import { encodePath } from '../lib/http/encode.js';
import { isFullCommit } from '../release/version.js';

/** Where the sources of a project are. */
export interface Forge {
  /** `gitea` is for Forgejo, too. */
  readonly kind: 'gitea' | 'github' | 'gitlab';
  /** The project's page: `https://git.example.org/owner/project`. */
  readonly url: string;
}

/** Where the sources of one release are. */
export interface SourceLinks {
  readonly browse: string;
  readonly archive: string;
}

/**
 * An address on the web that is safe in links and between single quotes of a shell, without a slash at its end. Nothing
 * of what is no such address; passwords, queries and fragments are left out.
 */
export function webAddress(address: string): string | undefined {
  if (!URL.canParse(address)) return undefined;
  const { protocol, host, pathname } = new URL(address);
  if (protocol !== 'https:' && protocol !== 'http:') return undefined;
  return `${protocol}//${host}${pathname.replace(/\/+$/, '')}`.replaceAll("'", '%27');
}

/** The path of a URL for a key of a bucket. Nothing for a key that no URL can say, since `..` in it goes up. */
export function pathOfKey(key: string): string | undefined {
  return key.split('/').some((segment) => segment === '.' || segment === '..') ? undefined : encodeKey(key);
}

/** Everything but unreserved characters and slashes as `%XX`. */
export function encodeKey(key: string): string {
  if (/^[A-Za-z0-9._~/-]*$/.test(key)) return key;
  // Half a pair of surrogates has no bytes.
  return encodePath(Buffer.from(key).toString());
}

/** The sources of a tag or of a commit. */
export function sourceLinks(forge: Forge, ref: string, kind: 'tag' | 'commit'): SourceLinks | undefined {
  const project = webAddress(forge.url);
  const name = pathOfKey(ref);
  if (project === undefined || name === undefined || name === '') return undefined;
  switch (forge.kind) {
    case 'gitea':
      return { browse: `${project}/src/${kind}/${name}`, archive: `${project}/archive/${name}.tar.gz` };
    case 'github':
      return {
        browse: `${project}/tree/${name}`,
        archive: `${project}/archive/${kind === 'tag' ? 'refs/tags/' : ''}${name}.tar.gz`,
      };
    case 'gitlab':
      return { browse: `${project}/-/tree/${name}`, archive: `${project}/-/archive/${name}/source.tar.gz` };
  }
}

/** The page of a commit: the same for all forges but one. */
export function commitLink(forge: Forge, commit: string): string | undefined {
  const project = webAddress(forge.url);
  if (project === undefined || !isFullCommit(commit)) return undefined;
  return `${project}/${forge.kind === 'gitlab' ? '-/' : ''}commit/${commit}`;
}

/** The page of an issue or a pull request, by its number: forges lead from one to the other. Merge requests are GitLab's. */
export function issueLink(forge: Forge, kind: 'issue' | 'merge-request', number: string): string | undefined {
  const project = webAddress(forge.url);
  if (project === undefined) return undefined;
  if (forge.kind === 'gitlab') return `${project}/-/${kind === 'issue' ? 'issues' : 'merge_requests'}/${number}`;
  return kind === 'issue' ? `${project}/issues/${number}` : undefined;
}
