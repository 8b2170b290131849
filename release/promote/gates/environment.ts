/** What programs of gates are told, and what is kept from them. */

import { commitOf } from '../../sources/candidate.js';
import type { PromotionPlan } from './gate.js';

/** What programs need to run as the user does, and to know which CI runs them. All else may be a secret. */
const PASSED = [
  ...['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'LANGUAGE', 'TZ', 'TMPDIR', 'CI'],
  ...['CI_SYSTEM_NAME', 'CI_COMMIT_SHA', 'CI_COMMIT_TAG', 'CI_COMMIT_REF', 'CI_PIPELINE_EVENT', 'CI_BUILD_EVENT'],
  ...['CI_PIPELINE_SOURCE', 'CI_PIPELINE_URL', 'CI_PIPELINE_LINK', 'CI_BUILD_LINK'],
  ...['DRONE', 'DRONE_TAG', 'DRONE_COMMIT', 'DRONE_COMMIT_SHA', 'DRONE_BUILD_EVENT', 'DRONE_BUILD_LINK'],
  ...['GITHUB_ACTIONS', 'GITHUB_SHA', 'GITHUB_REF', 'GITHUB_REF_NAME', 'GITHUB_REF_TYPE', 'GITHUB_EVENT_NAME'],
  ...['GITHUB_SERVER_URL', 'GITHUB_REPOSITORY', 'GITHUB_RUN_ID', 'GITHUB_RUN_NUMBER'],
  ...['FORGEJO_ACTIONS', 'FORGEJO_SHA', 'FORGEJO_REF', 'FORGEJO_REF_NAME', 'FORGEJO_REF_TYPE', 'FORGEJO_EVENT_NAME'],
  ...['GITEA_ACTIONS', 'GITLAB_CI'],
];

/** The environment of programs that gates run: the promotion, and nothing that may be secret. */
export function gateEnvironment(env: NodeJS.ProcessEnv, plan: PromotionPlan): NodeJS.ProcessEnv {
  const { candidate, version, channel } = plan;
  return {
    ...pick(env, (name) => PASSED.includes(name) || name.startsWith('LC_')),
    CARPORT_RELEASE_VERSION: candidate.version,
    CARPORT_RELEASE_AS: version,
    CARPORT_RELEASE_CHANNEL: channel,
    CARPORT_RELEASE_COMMIT: commitOf(candidate) ?? '',
    CARPORT_RELEASE_TARGETS: candidate.fragments.map(({ target }) => target).join(' '),
  };
}

/** That of git, which is told by variables where the checkout is. */
export function gitEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const told = ['GIT_DIR', 'GIT_WORK_TREE', 'GIT_CEILING_DIRECTORIES', 'GIT_DISCOVERY_ACROSS_FILESYSTEM'];
  return pick(env, (name) => PASSED.includes(name) || name.startsWith('LC_') || told.includes(name));
}

function pick(env: NodeJS.ProcessEnv, isWanted: (name: string) => boolean): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => isWanted(name)));
}
