import { CASES, COMMIT } from '../release/ci/environments.js';
import type { SAMPLES } from './pipelines.js';

/** What happens to the project of the samples, as each CI system tells it to jobs. */

export type System = keyof typeof SAMPLES;

/** Those of the sample `carport.toml`. */
export const TARGETS = [
  'aarch64-unknown-linux-musl',
  'armv6l-unknown-linux-musleabihf',
  'i686-unknown-linux-musl',
  'x86_64-unknown-linux-musl',
];

export const CANDIDATE = 'v1.2.0-rc1';

/** For each system what it calls the events that its sample knows, by the names of `environments.ts`. */
const EVENTS = {
  drone: {
    tag: 'drone: tag of v1.2.3',
    main: 'drone: push',
    pull: 'drone: pull_request',
    cron: 'drone: cron',
    promotion: 'drone: promote of v1.2.3',
  },
  woodpecker: {
    tag: 'woodpecker: tag of v1.2.3',
    main: 'woodpecker: push',
    pull: 'woodpecker: pull_request',
    cron: 'woodpecker: cron',
    promotion: 'woodpecker: deployment of v1.2.3',
  },
  github: {
    tag: 'github: push of v1.2.3',
    main: 'github: push',
    pull: 'github: pull_request',
    cron: 'github: schedule',
    promotion: 'github: workflow_dispatch',
  },
  forgejo: {
    tag: 'forgejo: push of v1.2.3',
    main: 'forgejo: push',
    pull: 'forgejo: pull_request',
    cron: 'forgejo: schedule',
    promotion: 'forgejo: workflow_dispatch',
  },
  gitlab: {
    tag: 'gitlab: push of v1.2.3',
    main: 'gitlab: push',
    pull: 'gitlab: merge_request_event',
    cron: 'gitlab: schedule',
    promotion: 'gitlab: push of v1.2.3',
  },
} as const;

export const SYSTEMS = Object.keys(EVENTS) as System[];

/** What systems know beside what tells the version. */
const MORE = {
  promotion: { DRONE_DEPLOY_TO: 'stable', CI_PIPELINE_DEPLOY_TARGET: 'stable' },
  all: { CI_DEFAULT_BRANCH: 'main' },
};

export type EventName = keyof (typeof EVENTS)['drone'];

/** The variables of an event, with another tag and commit. */
export function environmentOf(system: System, event: EventName, { tag = CANDIDATE, commit = COMMIT } = {}) {
  const found = CASES.find(({ name }) => name === EVENTS[system][event]);
  if (!found) throw new Error(`environments.ts has no ${EVENTS[system][event]}`);
  const values = Object.entries(found.env).map(([name, value]) => [
    name,
    value?.replaceAll('v1.2.3', tag).replaceAll(COMMIT, commit) ?? '',
  ]);
  return { ...Object.fromEntries(values), ...MORE.all, ...(event === 'promotion' && MORE.promotion) };
}

/** Made up; the key's is made for each sandbox. */
export const SECRETS = {
  AWS_ACCESS_KEY_ID: 'GK0123456789abcdef01234567',
  AWS_SECRET_ACCESS_KEY: 'c2VjcmV0IG9mIHRoZSBhY2Nlc3Mga2V5IG9mIHRlc3Rz',
};
