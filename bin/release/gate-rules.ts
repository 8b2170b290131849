/** What settings ask of releases that are promoted. */

import { CarportError } from '../../lib/errors.js';
import { FRAGMENT_LIMITS } from '../../release/documents/kinds.js';
import type { GateRules } from '../../release/promote/gates/gate.js';
import type { Settings } from '../settings/setting.js';

const DEFAULT_GATE_SECONDS = 600;

/** The commands leave room for the gates that are always there. */
const MAX_COMMANDS = FRAGMENT_LIMITS.gates - 10;

type GateSettings = Pick<
  Settings,
  'required-targets' | 'minimum-age' | 'ancestor-of' | 'gate-commands' | 'gate-seconds'
>;

/** What settings ask of releases that are promoted. Throws `E_USAGE` for what cannot be asked. */
export function gateRulesOf(settings: GateSettings): GateRules {
  const ancestorOf = settings['ancestor-of'].value;
  const { value: commands, origin } = settings['gate-commands'];
  if (commands.length > MAX_COMMANDS) {
    throw new CarportError('E_USAGE', `there are more than ${MAX_COMMANDS} gate commands (${origin.name})`, {
      hint: 'let a script run several of them',
    });
  }
  const minimumAgeMs = settings['minimum-age'].value;
  return {
    requiredTargets: settings['required-targets'].value,
    ...(minimumAgeMs !== undefined && { minimumAgeMs }),
    ...(ancestorOf !== undefined && { ancestorOf }),
    commands,
    commandSeconds: settings['gate-seconds'].value ?? DEFAULT_GATE_SECONDS,
  };
}
