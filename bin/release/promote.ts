/** The command `release promote`. */

import { CarportError } from '../../lib/errors.js';
import type { Verdict } from '../../release/promote/gates/gate.js';
import {
  type PromotionEvent,
  type PromotionRequest,
  type PromotionResult,
  type PromotionWork,
  promoteRelease,
} from '../../release/promote/session.js';
import { checkWish } from '../../release/promote/version.js';
import {
  type CommonOptions,
  type Context,
  note,
  say,
  workingDirectory,
  writeJson,
  writeLines,
} from '../cli/context.js';
import { interruptible } from '../cli/interrupt.js';
import { printableLine } from '../cli/printable.js';
import { showOn } from '../cli/program-output.js';
import { count, formatBytes } from '../cli/terminal.js';
import { sayWarnings } from '../cli/warnings.js';
import { withCache } from '../cli/with-caches.js';
import { requireCache } from '../settings/places.js';
import type { PromoteOptions } from './command.js';
import { gateRulesOf } from './gate-rules.js';
import { tellRemembered, withRemembered } from './remembered-settings.js';
import { channelRuleOf, checkChannelRule, releaseTrustOf, signingOf } from './settings.js';

/** Makes a release of another, when all gates are passed. */
export async function promote(version: string, options: PromoteOptions, context: Context): Promise<void> {
  const { to: channel, as, discard, dryRun, settings } = options;
  const url = options.cache ?? requireCache(settings.to, 'to', '--cache');
  const wish = { version, channel, ...(as !== undefined && { as }) };
  checkWish(wish);
  checkChannelRule(settings);
  gateRulesOf(settings);
  const trust = await (dryRun ? releaseTrustOf : signingOf)(settings, options);
  // Programs of gates end with this; requests of the cache do so by themselves.
  const stop = new AbortController();
  const { keys, policy } = trust;
  const request = {
    rulesOf: rulesOfProject(options, context),
    discard,
    dryRun,
    wish,
    keys,
    policy,
  };
  const work: PromotionWork = {
    now: new Date(),
    directory: workingDirectory(context),
    env: context.env,
    signal: stop.signal,
    show: showOn(context.stderr),
    emit: (event) => tellEvent(event, options, context),
  };
  const result = await interruptible(
    () => stop.abort(),
    () => withCache(url, { options, context }, ({ objects }) => promoteRelease(objects, request, work)),
  );
  await tellResult(result, options, context);
}

/** The channels are those of the index, and so are the targets that a release must have. */
function rulesOfProject(options: PromoteOptions, context: Context): PromotionRequest['rulesOf'] {
  return (project) => {
    const used = withRemembered(options.settings, project);
    const remembered = tellRemembered(used, ['stable-pattern', 'required-targets']);
    if (remembered !== undefined) note(context, options, remembered);
    return { channelOf: channelRuleOf(used), gates: gateRulesOf(used) };
  };
}

function tellEvent(event: PromotionEvent, options: CommonOptions, context: Context): void {
  if (event.type === 'sources') sayWarnings(context, event.warnings);
  else if (event.type === 'verdict') tellVerdict(event.verdict, options, context);
  else if (event.type === 'resumed') note(context, options, `\`${event.version}\` was begun before: going on`);
  else note(context, options, `what was made for \`${event.version}\` is removed: the name is free`);
}

async function tellResult(result: PromotionResult, options: CommonOptions, context: Context): Promise<void> {
  const { state, files, plan, gates } = result;
  const { candidate, version: promoted } = plan;
  const { version } = candidate;
  const amount = `${count(files.length, 'file')}, ${formatBytes(files.reduce((sum, { size }) => sum + size, 0))}`;
  switch (state) {
    case 'unchanged':
      note(context, options, `\`${promoted}\` is \`${version}\` already: nothing to do`);
      break;
    case 'planned':
      note(context, options, `nothing was changed; \`${promoted}\` would be \`${version}\`: ${amount}`);
      break;
    case 'promoted':
      note(context, options, `\`${promoted}\` is \`${version}\`: ${amount}; \`carport index publish\` shows it`);
      break;
    case 'refused':
      if (options.json) await report(result, options, context);
      throw refused(
        version,
        gates.filter(({ passed }) => !passed),
      );
  }
  await report(result, options, context);
}

function tellVerdict({ gate, passed, detail }: Verdict, options: CommonOptions, context: Context): void {
  const line = `${passed ? 'passed' : 'FAILED'}  ${gate}: ${detail}`;
  if (passed) note(context, options, line);
  else say(context, `${printableLine(line)}\n`);
}

function refused(version: string, failed: readonly Verdict[]): CarportError {
  const names = failed.map(({ gate }) => `\`${gate}\``).join(', ');
  return new CarportError('E_GATE', `\`${version}\` does not pass ${count(failed.length, 'gate')}: ${names}`, {
    hint: 'nothing was changed; what each of them found is said above',
  });
}

async function report(result: PromotionResult, options: CommonOptions, context: Context): Promise<void> {
  const { plan, state, files, gates } = result;
  const keys = files.map(({ key }) => key).sort();
  if (!options.json) return writeLines(context.stdout, keys);
  const { candidate, version, channel } = plan;
  await writeJson(context.stdout, {
    promotion: {
      ...{ version, channel, from: candidate.version, state },
      files: files.map(({ key, target, name, size, sha256, state }) => ({ key, target, name, size, sha256, state })),
      gates,
    },
  });
}
