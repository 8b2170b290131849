/** What the environment of a CI system says of a build. */

import { CarportError } from '../../lib/errors.js';
import { componentOf, versionOfTag } from '../component.js';
import { type Channel, type ChannelRule, checkCommit, checkTag, isFullCommit } from '../version.js';

/** Which system runs this; `none` is a person. Gitea's and Forgejo's are one. */
export type CiSystem = 'woodpecker' | 'drone' | 'forgejo' | 'github' | 'gitlab' | 'none';

/** Variables of a process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What an environment says of the build that runs in it. What it does not say is not there. */
export interface Build {
  readonly system: CiSystem;
  /** The tag, with `@` for each `/`, else the commit. */
  readonly version?: string;
  readonly channel?: Channel;
  /** Of a monorepo: `cli` of the tag `cli/v1.2.3`, whose version is `cli@v1.2.3`. */
  readonly component?: string;
  readonly tag?: string;
  /** 40 digits, or 64. */
  readonly commit?: string;
  /** In the system's own words: `push`, `tag`, `promote`, `schedule`. */
  readonly event?: string;
  readonly runUrl?: string;
  /** `TARGET`: the platform that is built for. */
  readonly target?: string;
  /** The variable, or the option, that each of these is from. */
  readonly origins: Readonly<Partial<Record<BuildField, string>>>;
  /** What was passed over, for people. */
  readonly warnings: readonly string[];
}

/** What is known of a build, each from a variable. */
export type BuildField =
  | 'system'
  | 'version'
  | 'channel'
  | 'component'
  | 'tag'
  | 'commit'
  | 'event'
  | 'runUrl'
  | 'target';

/** What stands before the environment. */
export interface BuildOptions {
  readonly tag?: string;
  readonly commit?: string;
}

interface Found {
  readonly value: string;
  readonly origin: string;
}

/** Where a system says what. */
interface SystemSpec {
  readonly name: string;
  /** The variable that tells that this system is at work, if it does. */
  readonly detect: (env: Environment) => string | undefined;
  readonly tag: (env: Environment) => Found | undefined;
  readonly commit: readonly string[];
  readonly event: readonly string[];
  readonly runUrl: (env: Environment) => Found | undefined;
}

const DRONE_COMMITS = ['DRONE_COMMIT', 'DRONE_COMMIT_SHA'];

/**
 * In the order in which they are looked for. Woodpecker's mark is its alone, but it gives its plugins Drone's variables,
 * too; Drone sets `CI_COMMIT_SHA`, as GitLab does; Forgejo and Gitea set all that GitHub does.
 */
const SYSTEMS: Readonly<Record<Exclude<CiSystem, 'none'>, SystemSpec>> = {
  woodpecker: {
    name: 'Woodpecker',
    detect: (env) => ['CI', 'CI_SYSTEM_NAME'].find((name) => env[name] === 'woodpecker'),
    // Before 2.1 a tag that is deployed has only its ref.
    tag: (env) => first(env, 'CI_COMMIT_TAG') ?? tagOfRef(env, 'CI_COMMIT_REF'),
    commit: ['CI_COMMIT_SHA'],
    event: ['CI_PIPELINE_EVENT', 'CI_BUILD_EVENT'],
    runUrl: (env) => first(env, 'CI_PIPELINE_URL', 'CI_PIPELINE_LINK', 'CI_BUILD_LINK'),
  },
  drone: {
    name: 'Drone',
    detect: (env) => whenOn(env, 'DRONE'),
    tag: (env) => first(env, 'DRONE_TAG'),
    commit: DRONE_COMMITS,
    event: ['DRONE_BUILD_EVENT'],
    runUrl: (env) => first(env, 'DRONE_BUILD_LINK'),
  },
  forgejo: {
    name: 'Forgejo or Gitea',
    detect: (env) => whenOn(env, 'FORGEJO_ACTIONS') ?? whenOn(env, 'GITEA_ACTIONS'),
    tag: (env) => actionsTag(env, 'FORGEJO') ?? actionsTag(env, 'GITHUB'),
    commit: ['FORGEJO_SHA', 'GITHUB_SHA'],
    event: ['FORGEJO_EVENT_NAME', 'GITHUB_EVENT_NAME'],
    // Forgejo's pages have the number within the repository, Gitea's have the id.
    runUrl: (env) => actionsRun(env, whenOn(env, 'FORGEJO_ACTIONS') ? 'GITHUB_RUN_NUMBER' : 'GITHUB_RUN_ID'),
  },
  github: {
    name: 'GitHub Actions',
    detect: (env) => whenOn(env, 'GITHUB_ACTIONS'),
    tag: (env) => actionsTag(env, 'GITHUB'),
    commit: ['GITHUB_SHA'],
    event: ['GITHUB_EVENT_NAME'],
    runUrl: (env) => actionsRun(env, 'GITHUB_RUN_ID'),
  },
  gitlab: {
    name: 'GitLab',
    detect: (env) => whenOn(env, 'GITLAB_CI'),
    tag: (env) => first(env, 'CI_COMMIT_TAG'),
    commit: ['CI_COMMIT_SHA'],
    event: ['CI_PIPELINE_SOURCE'],
    runUrl: (env) => first(env, 'CI_PIPELINE_URL'),
  },
};

/** A person says it with the variables that the systems of Garage's scripts have set. */
const BY_HAND: SystemSpec = {
  name: 'none, by hand',
  detect: () => undefined,
  tag: (env) => first(env, 'DRONE_TAG', 'CI_COMMIT_TAG'),
  commit: [...DRONE_COMMITS, 'CI_COMMIT_SHA'],
  event: [],
  runUrl: () => undefined,
};

/**
 * What `env` says of the build: which version it makes, for which channel, and where each is from. A tag or a commit of
 * `options` stands before those of the environment; a commit alone also before its tag. Throws `E_USAGE` for what cannot
 * be a version.
 */
export function readBuild(env: Environment, ruleOf: ChannelRule, options: BuildOptions = {}): Build {
  const warnings: string[] = [];
  const system = detect(env, warnings);
  const spec = specOf(system.value);
  const tag = findTag(spec, env, options, warnings);
  const commit = findCommit(spec, env, options, tag !== undefined, warnings);
  const version = (tag && { ...tag, value: versionOfTag(tag.value) }) ?? commit;
  const channel = version && { value: ruleOf(version.value), origin: version.origin };
  const event = first(env, ...spec.event);
  if (event && isPullRequest(event.value) && version?.origin !== '--tag' && version?.origin !== '--commit') {
    warnings.push(`this is a build of a pull request (${event.origin}): its commit may be in no branch`);
  }
  const runUrl = findRunUrl(spec, env, warnings);
  const target = first(env, 'TARGET');
  const component = tag && version && componentOf(version.value);
  const named = component === undefined || !version ? undefined : { value: component, origin: version.origin };
  const fields = { version, channel, component: named, tag, commit, event, runUrl, target };
  const found = Object.entries(fields).flatMap(([field, each]) => (each ? [[field, each] as const] : []));
  return {
    ...Object.fromEntries(found.map(([field, { value }]) => [field, value])),
    system: system.value,
    origins: Object.fromEntries(
      [['system', system] as const, ...found].flatMap(([field, { origin }]) => (origin ? [[field, origin]] : [])),
    ),
    warnings,
  };
}

/** The error of a build without a version. */
export function noVersion({ system }: Build): CarportError {
  const where = system === 'none' ? 'the environment has' : `${systemName(system)}'s variables have`;
  return new CarportError('E_NOT_FOUND', `${where} neither a tag nor a commit`, {
    hint: 'set DRONE_TAG or CI_COMMIT_TAG to a tag, or give `--tag v1.2.3` or `--commit "$(git rev-parse HEAD)"`',
  });
}

/** How a system is called. */
export function systemName(system: CiSystem): string {
  return specOf(system).name;
}

function specOf(system: CiSystem): SystemSpec {
  return system === 'none' ? BY_HAND : SYSTEMS[system];
}

function detect(env: Environment, warnings: string[]): { readonly value: CiSystem; readonly origin?: string } {
  const marks = (Object.keys(SYSTEMS) as (keyof typeof SYSTEMS)[]).flatMap((system) => {
    const origin = SYSTEMS[system].detect(env);
    return origin === undefined ? [] : [{ value: system, origin }];
  });
  const [mark, ...others] = marks.filter(
    ({ value }, index) => value !== 'github' || marks[index - 1]?.value !== 'forgejo',
  );
  if (!mark) return { value: 'none' };
  for (const { value, origin } of others) {
    const [taken, passed] = [systemName(mark.value), systemName(value)];
    warnings.push(`this is ${taken} (${mark.origin}) and ${passed} (${origin}) at once: taken for ${taken}`);
  }
  return mark;
}

function findTag(spec: SystemSpec, env: Environment, options: BuildOptions, warnings: string[]): Found | undefined {
  const tag = given('--tag', options.tag) ?? (options.commit === undefined ? spec.tag(env) : undefined);
  if (!tag) return undefined;
  checkTag(tag.value, tag.origin);
  if (isFullCommit(tag.value)) {
    warnings.push(`the tag \`${tag.value}\` (${tag.origin}) looks like a commit: it is taken for a development build`);
  }
  return tag;
}

/** Beside a tag the commit is only what the tag was made of: there a wrong one of the environment stops nothing. */
function findCommit(
  spec: SystemSpec,
  env: Environment,
  options: BuildOptions,
  hasTag: boolean,
  warnings: string[],
): Found | undefined {
  const commit = given('--commit', options.commit) ?? first(env, ...spec.commit);
  if (!commit) return undefined;
  if (hasTag && options.commit === undefined && !isFullCommit(commit.value)) {
    warnings.push(`${commit.origin} is passed over: it is no whole commit`);
    return undefined;
  }
  checkCommit(commit.value, commit.origin);
  return commit;
}

/** In the words of all systems. */
function isPullRequest(event: string): boolean {
  return /^(pull_request|merge_request)/.test(event);
}

function findRunUrl(spec: SystemSpec, env: Environment, warnings: string[]): Found | undefined {
  const url = spec.runUrl(env);
  if (!url || isWebUrl(url.value)) return url;
  warnings.push(`${url.origin} is passed over: it gives no address of a web page, or one with a password`);
  return undefined;
}

/** True for the address of a web page that has no password in it. */
export function isWebUrl(text: string): boolean {
  if (/[\s\x00-\x1f\x7f]/.test(text) || !URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return /^https?:$/.test(protocol) && username === '' && password === '';
}

function given(option: string, value: string | undefined): Found | undefined {
  return value === undefined ? undefined : { value, origin: option };
}

/** The first variable that is not empty; an empty one counts as not set, as it does in shells' `${A:-$B}`. */
function first(env: Environment, ...names: readonly string[]): Found | undefined {
  const origin = names.find((name) => env[name]);
  return origin === undefined ? undefined : { value: env[origin]!, origin };
}

function whenOn(env: Environment, name: string): string | undefined {
  return env[name] === 'true' ? name : undefined;
}

function tagOfRef(env: Environment, name: string): Found | undefined {
  const ref = env[name];
  return ref?.startsWith('refs/tags/') ? { value: ref.slice('refs/tags/'.length), origin: name } : undefined;
}

/** `REF_NAME` is the name of a branch as well: the type tells. Runners that tell none have the whole ref. */
function actionsTag(env: Environment, prefix: string): Found | undefined {
  const type = env[`${prefix}_REF_TYPE`];
  if (type && type !== 'tag') return undefined;
  const name = type === 'tag' ? first(env, `${prefix}_REF_NAME`) : undefined;
  return name ?? tagOfRef(env, `${prefix}_REF`);
}

function actionsRun(env: Environment, idName: string): Found | undefined {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository, [idName]: id } = env;
  if (!server || !repository || !id) return undefined;
  return { value: `${server}/${repository}/actions/runs/${id}`, origin: idName };
}
