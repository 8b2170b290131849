/** What settings ask of releases that are promoted. */

import { CarportError } from '../../lib/errors.js';
import { FRAGMENT_LIMITS } from '../../release/documents/kinds.js';
import type { GateRules } from '../../release/promote/gates/gate.js';
import { parseSpan } from '../settings/duration.js';
import { type Setting, type Settings, singleValue } from '../settings/settings.js';

const DEFAULT_GATE_SECONDS = 600;
const MAX_GATE_SECONDS = 86_400;

/** The commands leave room for the gates that are always there. */
const MAX_COMMANDS = FRAGMENT_LIMITS.gates - 10;

/** What settings ask of releases that are promoted. Throws `E_USAGE` for what cannot be asked. */
export function gateRulesOf(settings: Settings): GateRules {
  const age = settings['minimum-age'];
  const ageText = singleValue(age);
  const branch = settings['ancestor-of'];
  const ancestorOf = singleValue(branch);
  if (ancestorOf !== undefined) checkText(ancestorOf, branch, 'the name of a branch');
  const commands = settings['gate-commands'];
  for (const command of commands.values) checkText(command, commands, 'a command line');
  if (commands.values.length > MAX_COMMANDS) {
    throw new CarportError('E_USAGE', `there are more than ${MAX_COMMANDS} gate commands (${commands.origin})`, {
      hint: 'let a script run several of them',
    });
  }
  return {
    requiredTargets: settings['required-targets'].values,
    ...(ageText !== undefined && { minimumAgeMs: parseSpan(ageText, age.origin) }),
    ...(ancestorOf !== undefined && { ancestorOf }),
    commands: commands.values,
    commandSeconds: gateSecondsOf(settings['gate-seconds']),
  };
}

/** An empty command line would succeed. */
function checkText(text: string, { origin }: Setting, what: string): void {
  if (text.trim() !== '' && !text.includes('\0')) return;
  throw new CarportError('E_USAGE', `\`${text}\` (${origin}) is not ${what}`);
}

function gateSecondsOf(setting: Setting): number {
  const text = singleValue(setting);
  if (text === undefined) return DEFAULT_GATE_SECONDS;
  if (/^[1-9][0-9]{0,4}$/.test(text) && Number(text) <= MAX_GATE_SECONDS) return Number(text);
  throw new CarportError(
    'E_USAGE',
    `\`${text}\` (${setting.origin}) is not a number of seconds from 1 to ${MAX_GATE_SECONDS}`,
  );
}
