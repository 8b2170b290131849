/** Where a release is published, and which words of the command line are files. */

import { CarportError } from '../../../lib/errors.js';
import { FORGES, type ForgeKind } from '../../../lib/forge/contract.js';
import { type ForgePlace, parsePlace, splitForge } from '../../../lib/forge/place.js';
import type { ForgeOptions } from './command.js';

export interface Where {
  readonly place: ForgePlace;
  /** Nothing where the bucket has them. */
  readonly files: readonly string[] | undefined;
}

/** The page of the repository in jobs of Woodpecker and Drone; Actions have two variables for it. */
const PAGES = ['CI_REPO_URL', 'DRONE_REPO_LINK'];

const HINT = '`--to gitea https://git.example.org/owner/name`, or `--to https://github.com/owner/name`';

/**
 * `--to gitea URL`, `--to gitea:URL`, `--to URL`, `--to github:owner/name`; and `--to gitea` in a job of that forge. What follows
 * `--files`, where a shell has made several words of it, are files.
 */
export function placeOf(words: readonly string[], options: ForgeOptions, env: NodeJS.ProcessEnv): Where {
  const { kind, address } = splitForge(options.to);
  const given = [...(address === undefined ? [] : [address]), ...words.filter(isAddress)];
  const others = words.filter((word) => !isAddress(word));
  const stranger = options.files === undefined ? others[0] : undefined;
  if (stranger !== undefined) throw wrong(`\`${stranger}\` is no address`);
  if (given.length > 1) throw wrong(`two repositories are named: \`${given[0]}\` and \`${given[1]}\``);
  const at = given[0] ?? pageOfJob(kind, env);
  if (at === undefined) throw wrong('it is not said which repository');
  const { plainHttp, apiUrl } = options;
  const isShort = kind === 'github' && /^[\w.-]+\/[\w.-]+$/.test(at);
  const place = parsePlace(isShort ? `https://github.com/${at}` : at, kind, { plainHttp, api: apiUrl });
  return { place, files: options.files && [...options.files, ...others] };
}

function isAddress(word: string): boolean {
  return /^(?:[a-z]+:\/\/|[\w.-]+@[\w.-]+:)/.test(word);
}

/** Of a job of the other kind none is meant. */
function pageOfJob(kind: ForgeKind | undefined, env: NodeJS.ProcessEnv): string | undefined {
  const system = systemOfJob(env);
  if (kind !== undefined && system !== undefined && (system === 'github') !== (kind === 'github')) {
    throw wrong(`this is a job of the kind ${system}, and which repository of a ${kind} is meant is not said`);
  }
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository } = env;
  if (server && repository) return `${server}/${repository}`;
  return PAGES.map((name) => env[name]).find(Boolean);
}

function systemOfJob(env: NodeJS.ProcessEnv): ForgeKind | undefined {
  if (env.FORGEJO_ACTIONS) return 'forgejo';
  if (env.GITEA_ACTIONS) return 'gitea';
  if (env.GITHUB_ACTIONS) return 'github';
  return FORGES.find((kind) => kind === env.CI_FORGE_TYPE);
}

function wrong(message: string): CarportError {
  return new CarportError('E_USAGE', message, { hint: HINT });
}
