import { commitOf } from '../candidate.js';
import type { PromotionPlan } from './gate.js';

/** What signs and writes: programs of gates do neither. */
const SECRETS = [
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SECRET_ACCESS_KEY_FILE',
  'AWS_SESSION_TOKEN',
  'AWS_SESSION_TOKEN_FILE',
  'AWS_CONTAINER_AUTHORIZATION_TOKEN',
  'CARPORT_SECRET_KEY_FILES',
];

/** The environment of programs that gates run: without what is secret, and with the promotion. */
export function gateEnvironment(env: NodeJS.ProcessEnv, plan: PromotionPlan): NodeJS.ProcessEnv {
  const { candidate, version, channel } = plan;
  return {
    ...Object.fromEntries(Object.entries(env).filter(([name]) => !SECRETS.includes(name))),
    CARPORT_RELEASE_VERSION: candidate.version,
    CARPORT_RELEASE_AS: version,
    CARPORT_RELEASE_CHANNEL: channel,
    CARPORT_RELEASE_COMMIT: commitOf(candidate) ?? '',
    CARPORT_RELEASE_TARGETS: candidate.fragments.map(({ target }) => target).join(' '),
  };
}
