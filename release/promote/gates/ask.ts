/** Asks the gates of a promotion, in their order, and gives their verdicts. */

import { ancestor } from './ancestor.js';
import { commandGates } from './command.js';
import type { Gate, GateRules, GateTools, PromotionPlan, Verdict } from './gate.js';
import { hashes } from './hashes.js';
import { files, minimumAge, notYanked, requiredTargets } from './sources.js';

/** Asks every gate, also when one has failed before; each verdict is told as it comes. The dearest are last. */
export async function askGates(
  plan: PromotionPlan,
  rules: GateRules,
  tools: GateTools,
  tell: (verdict: Verdict) => void,
): Promise<readonly Verdict[]> {
  const verdicts: Verdict[] = [];
  for (const gate of gatesOf(rules)) {
    tools.signal.throwIfAborted();
    const verdict = await gate(plan, rules, tools);
    tell(verdict);
    verdicts.push(verdict);
  }
  return verdicts;
}

function gatesOf(rules: GateRules): readonly Gate[] {
  return [
    notYanked,
    files,
    ...(rules.requiredTargets.length > 0 ? [requiredTargets] : []),
    ...(rules.minimumAgeMs === undefined ? [] : [minimumAge]),
    ...(rules.ancestorOf === undefined ? [] : [ancestor]),
    hashes,
    ...commandGates(rules.commands),
  ];
}
