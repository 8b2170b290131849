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
import { type ActivityReporter, withActivity } from '../reporters/activity.js';
import { requireCache } from '../settings/places.js';
import type { PromoteOptions } from './command.js';
import { gateRulesOf } from './gate-rules.js';
import { readNotes } from './notes.js';
import { tellRemembered, withRemembered } from './remembered-settings.js';
import { channelRuleOf, checkChannelRule, releaseTrustOf, signingOf } from './settings.js';

/** Makes a release of another, when all gates are passed. */
export async function promote(version: string, options: PromoteOptions, context: Context): Promise<void> {
  const { to: channel, as, discard, dryRun, settings } = options;
  const url = requireCache(settings.to);
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
    notesOf: (made: string) => readNotes(options, { version: made }, context),
    discard,
    dryRun,
    wish,
    keys,
    policy,
  };
  const result = await withActivity(context, options, (reporter) => {
    const work = { ...workOf(reporter, options, context), signal: stop.signal };
    const use = { options, context, emit: reporter.emit };
    return interruptible(
      () => stop.abort(),
      () => withCache(url, use, ({ objects }) => promoteRelease(objects, request, work)),
    );
  });
  await tellResult(result, options, context);
}

/** What a promotion works with; where something else is printed, its progress is taken down before. */
function workOf(reporter: ActivityReporter, options: PromoteOptions, context: Context): Omit<PromotionWork, 'signal'> {
  const show = showOn(context.stderr);
  return {
    now: new Date(),
    directory: workingDirectory(context),
    env: context.env,
    show(output) {
      reporter.stop();
      return show(output);
    },
    emit: (event) => tellEvent(event, reporter, { options, context }),
  };
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

interface Audience {
  readonly options: CommonOptions;
  readonly context: Context;
}

function tellEvent(event: PromotionEvent, reporter: ActivityReporter, { options, context }: Audience): void {
  switch (event.type) {
    case 'sources':
      reporter.stop();
      sayWarnings(context, event.warnings);
      break;
    case 'verdict':
      reporter.stop();
      tellVerdict(event.verdict, options, context);
      break;
    case 'resumed':
      reporter.tell(`\`${event.version}\` was begun before: going on`);
      break;
    case 'freed':
      reporter.tell(`what was made for \`${event.version}\` is removed: the name is free`);
      break;
    default:
      reporter.emit(event);
  }
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
