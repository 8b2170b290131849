import type { CiSystem, Environment } from '#release/ci/detect.js';
import type { Channel } from '#release/version.js';

/** What the five systems set, as their documentation and sources have it; names and addresses are made up. */

export const COMMIT = '7fd1a60b01f91b314f59955a4e4d4e80d8edf11d';

const HEAD = '0a1b2c3d4e5f60718293a4b5c6d7e8f901234567';

interface Case {
  readonly name: string;
  readonly env: Environment;
  readonly system: CiSystem;
  readonly version: string;
  readonly channel: Channel;
  readonly commit: string;
  readonly event: string;
  readonly runUrl: string;
  /** The variable that the version is from. */
  readonly origin: string;
}

const RUNS: Readonly<Record<Exclude<CiSystem, 'none'>, string>> = {
  drone: 'https://drone.example.org/acme/tool/42',
  woodpecker: 'https://ci.example.org/repos/7/pipeline/42',
  github: 'https://github.com/acme/tool/actions/runs/987654321',
  forgejo: 'https://git.example.org/acme/tool/actions/runs/42',
  gitlab: 'https://gitlab.example.org/acme/tool/-/pipelines/42',
};

/** Drone sets the names of its past as well, and `CI_COMMIT_SHA` without a `CI_COMMIT_TAG` is one of these. */
const drone = (event: string, ref: string, more: Environment = {}): Environment => ({
  ...{ CI: 'true', DRONE: 'true', DRONE_SYSTEM_HOST: 'drone.example.org', DRONE_REPO: 'acme/tool' },
  ...{ CI_BUILD_NUMBER: '42', CI_COMMIT_SHA: COMMIT, CI_COMMIT_BRANCH: 'main', CI_BUILD_EVENT: event },
  ...{ DRONE_BUILD_NUMBER: '42', DRONE_BUILD_EVENT: event, DRONE_BUILD_LINK: RUNS.drone, DRONE_BRANCH: 'main' },
  ...{ DRONE_COMMIT: COMMIT, DRONE_COMMIT_SHA: COMMIT, DRONE_COMMIT_REF: ref, DRONE_COMMIT_BRANCH: 'main' },
  ...(ref.startsWith('refs/tags/') && { DRONE_TAG: ref.slice('refs/tags/'.length), DRONE_SEMVER_ERROR: '' }),
  ...more,
});

const woodpecker = (event: string, ref: string, more: Environment = {}): Environment => ({
  ...{ CI: 'woodpecker', CI_SYSTEM_NAME: 'woodpecker', CI_SYSTEM_VERSION: '3.0.1', CI_REPO: 'acme/tool' },
  ...{ CI_PIPELINE_NUMBER: '42', CI_PIPELINE_EVENT: event, CI_PIPELINE_URL: RUNS.woodpecker },
  ...{ CI_COMMIT_SHA: COMMIT, CI_COMMIT_REF: ref, CI_COMMIT_BRANCH: 'main' },
  ...(ref.startsWith('refs/tags/') && { CI_COMMIT_TAG: ref.slice('refs/tags/'.length) }),
  ...more,
});

const github = (event: string, ref: string, more: Environment = {}): Environment => ({
  ...{ CI: 'true', GITHUB_ACTIONS: 'true', GITHUB_SERVER_URL: 'https://github.com', GITHUB_REPOSITORY: 'acme/tool' },
  ...{ GITHUB_RUN_ID: '987654321', GITHUB_RUN_NUMBER: '42', GITHUB_EVENT_NAME: event, GITHUB_SHA: COMMIT },
  ...{ GITHUB_REF: ref, GITHUB_REF_NAME: ref.replace(/^refs\/(heads|tags|pull)\//, '') },
  ...{ GITHUB_REF_TYPE: ref.startsWith('refs/tags/') ? 'tag' : 'branch', GITHUB_HEAD_REF: '', GITHUB_BASE_REF: '' },
  ...more,
});

/** All that GitHub sets, under both names. */
const forgejo = (event: string, ref: string, more: Environment = {}): Environment => {
  const base = github(event, ref, { GITHUB_SERVER_URL: 'https://git.example.org' });
  const twins = Object.entries(base).map(([name, value]) => [name.replace(/^GITHUB_/, 'FORGEJO_'), value]);
  return { ...base, ...Object.fromEntries(twins), FORGEJO_ACTIONS: 'true', GITEA_ACTIONS: 'true', ...more };
};

const gitea = (event: string, ref: string, more: Environment = {}): Environment => ({
  ...github(event, ref, { GITHUB_SERVER_URL: 'https://git.example.org', GITHUB_RUN_ID: '42', GITHUB_RUN_NUMBER: '3' }),
  GITEA_ACTIONS: 'true',
  ...more,
});

const gitlab = (source: string, more: Environment = {}): Environment => ({
  ...{ CI: 'true', GITLAB_CI: 'true', CI_SERVER_NAME: 'GitLab', CI_PROJECT_PATH: 'acme/tool' },
  ...{ CI_PIPELINE_ID: '42', CI_PIPELINE_SOURCE: source, CI_PIPELINE_URL: RUNS.gitlab },
  ...{ CI_COMMIT_SHA: COMMIT, CI_COMMIT_SHORT_SHA: COMMIT.slice(0, 8), CI_COMMIT_REF_NAME: 'main' },
  ...more,
});

type System = Exclude<CiSystem, 'none'>;

const commitOf = (
  system: System,
  event: string,
  env: Environment,
  origin: string,
  [note, commit]: readonly [string, string] = ['', COMMIT],
): Case => ({
  ...{ name: `${system}: ${event}${note}`, env, system, version: commit, channel: 'development' },
  ...{ commit, event, runUrl: RUNS[system], origin },
});

const tagOf = (system: System, event: string, tag: string, env: Environment, origin: string, note = ''): Case => ({
  ...{ name: `${system}: ${event} of ${tag}${note}`, env, system, version: tag },
  ...{ channel: /^v[0-9.]+$/.test(tag) ? 'stable' : 'extra', commit: COMMIT, event, runUrl: RUNS[system], origin },
});

const [main, pull] = ['refs/heads/main', 'refs/pull/12/head'];
const merge = 'refs/pull/12/merge';

export const CASES: readonly Case[] = [
  ...['push', 'cron', 'custom', 'promote', 'rollback'].map((event) =>
    commitOf('drone', event, drone(event, main, { DRONE_DEPLOY_TO: 'prod', DRONE_BUILD_PARENT: '41' }), 'DRONE_COMMIT'),
  ),
  commitOf('drone', 'pull_request', drone('pull_request', pull, { DRONE_PULL_REQUEST: '12' }), 'DRONE_COMMIT'),
  tagOf('drone', 'tag', 'v1.2.3', drone('tag', 'refs/tags/v1.2.3'), 'DRONE_TAG'),
  tagOf('drone', 'tag', 'v1.2.3-rc1', drone('tag', 'refs/tags/v1.2.3-rc1'), 'DRONE_TAG'),
  tagOf('drone', 'promote', 'v1.2.3', drone('promote', 'refs/tags/v1.2.3'), 'DRONE_TAG'),
  tagOf('drone', 'rollback', 'v1.2.3', drone('rollback', 'refs/tags/v1.2.3'), 'DRONE_TAG'),

  ...['push', 'cron', 'manual', 'deployment'].map((event) =>
    commitOf('woodpecker', event, woodpecker(event, main), 'CI_COMMIT_SHA'),
  ),
  ...['pull_request', 'pull_request_closed', 'pull_request_metadata'].map((event) =>
    commitOf('woodpecker', event, woodpecker(event, pull, { CI_COMMIT_PULL_REQUEST: '12' }), 'CI_COMMIT_SHA'),
  ),
  commitOf('woodpecker', 'push', woodpecker('push', main, { CI_COMMIT_TAG: '' }), 'CI_COMMIT_SHA', [
    ' with an empty tag',
    COMMIT,
  ]),
  ...['tag', 'release', 'deployment', 'manual'].map((event) =>
    tagOf('woodpecker', event, 'v1.2.3', woodpecker(event, 'refs/tags/v1.2.3'), 'CI_COMMIT_TAG'),
  ),
  tagOf(
    ...(['woodpecker', 'deployment', 'v1.2.3'] as const),
    woodpecker('deployment', 'refs/tags/v1.2.3', { CI_COMMIT_TAG: '' }),
    ...(['CI_COMMIT_REF', ' before 2.1'] as const),
  ),
  tagOf(
    ...(['woodpecker', 'tag', 'v1.2.3'] as const),
    woodpecker('tag', 'refs/tags/v1.2.3', { CI_SYSTEM_NAME: 'ours', GITLAB_TOKEN: 'x' }),
    ...(['CI_COMMIT_TAG', ' with a name of its own'] as const),
  ),

  ...['push', 'schedule', 'workflow_dispatch', 'deployment'].map((event) =>
    commitOf('github', event, github(event, main), 'GITHUB_SHA'),
  ),
  commitOf('github', 'push', github('push', 'refs/heads/v1.2.3'), 'GITHUB_SHA', [
    ' to a branch with the name of a tag',
    COMMIT,
  ]),
  commitOf(
    ...(['github', 'pull_request'] as const),
    github('pull_request', merge, { GITHUB_SHA: HEAD, GITHUB_HEAD_REF: 'v9.9.9', GITHUB_BASE_REF: 'main' }),
    ...(['GITHUB_SHA', ['', HEAD]] as const),
  ),
  ...['push', 'release', 'workflow_dispatch'].map((event) =>
    tagOf('github', event, 'v1.2.3', github(event, 'refs/tags/v1.2.3'), 'GITHUB_REF_NAME'),
  ),

  ...['push', 'schedule', 'workflow_dispatch'].flatMap((event) => [
    commitOf('forgejo', event, forgejo(event, main), 'FORGEJO_SHA'),
    commitOf('forgejo', event, gitea(event, main), 'GITHUB_SHA', [' (Gitea)', COMMIT]),
  ]),
  commitOf('forgejo', 'pull_request', forgejo('pull_request', merge), 'FORGEJO_SHA'),
  commitOf('forgejo', 'pull_request', gitea('pull_request', pull), 'GITHUB_SHA', [' (Gitea)', COMMIT]),
  tagOf('forgejo', 'push', 'v1.2.3', forgejo('push', 'refs/tags/v1.2.3'), 'FORGEJO_REF_NAME'),
  tagOf('forgejo', 'release', 'v1.2.3-beta1', forgejo('release', 'refs/tags/v1.2.3-beta1'), 'FORGEJO_REF_NAME'),
  tagOf('forgejo', 'push', 'v1.2.3', gitea('push', 'refs/tags/v1.2.3'), 'GITHUB_REF_NAME', ' (Gitea)'),
  tagOf(
    ...(['forgejo', 'push', 'v1.2.3'] as const),
    gitea('push', 'refs/tags/v1.2.3', { GITHUB_REF_TYPE: '', GITHUB_REF_NAME: '' }),
    ...(['GITHUB_REF', ' (Gitea, a runner that tells no type)'] as const),
  ),

  ...['push', 'schedule', 'web', 'api', 'trigger'].map((source) =>
    commitOf('gitlab', source, gitlab(source, { CI_COMMIT_BRANCH: 'main' }), 'CI_COMMIT_SHA'),
  ),
  commitOf(
    ...(['gitlab', 'merge_request_event'] as const),
    gitlab('merge_request_event', { CI_COMMIT_REF_NAME: 'v1.2.3', CI_MERGE_REQUEST_IID: '12' }),
    'CI_COMMIT_SHA',
  ),
  ...['push', 'schedule', 'web'].map((source) =>
    tagOf(
      ...(['gitlab', source, 'v1.2.3'] as const),
      gitlab(source, { CI_COMMIT_TAG: 'v1.2.3', CI_COMMIT_REF_NAME: 'v1.2.3' }),
      'CI_COMMIT_TAG',
    ),
  ),
];
