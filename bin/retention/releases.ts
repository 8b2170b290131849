/** Which releases stay: what the command line says of it, and what it leaves to the table `[retention]`. */

import { CarportError } from '../../lib/errors.js';
import type { PrunableChannel, PruneRules } from '../../release/prune/plan.js';
import { type Context, note } from '../cli/context.js';
import { printableLine } from '../cli/printable.js';
import { type ReleaseRetention, type Retention, readRetention } from '../settings/tables/retention.js';

/** What the command line says. Spans are in milliseconds. */
export interface GivenRules {
  readonly quiet?: boolean;
  readonly channel?: PrunableChannel | undefined;
  readonly keep?: number | undefined;
  readonly keepWithin?: number | undefined;
  readonly grace?: number | undefined;
}

const DEFAULT_GRACE = 7 * 86_400_000;

/**
 * The rules of each channel that is to be pruned: of the one that is named, else of those of the table, else of `development`.
 * Throws `E_USAGE` where nothing says which releases stay.
 */
export async function pruneRulesOf(given: GivenRules, context: Context): Promise<readonly PruneRules[]> {
  const retention = await readRetention(context);
  const isSaid = given.keep !== undefined || given.keepWithin !== undefined;
  const named = channelsOf(given, retention, isSaid);
  return named.flatMap((channel) => {
    const tier = retention?.[channel];
    if (tier?.forever && !isSaid) {
      note(context, given, `all releases of \`${channel}\` stay (${printableLine(tier.place)})`);
      return [];
    }
    return [rulesOf(channel, given, tier)];
  });
}

function channelsOf(
  { channel }: GivenRules,
  retention: Retention | undefined,
  isSaid: boolean,
): readonly PrunableChannel[] {
  if (channel !== undefined) return [channel];
  const ofTable = (['development', 'extra'] as const).filter((each) => retention?.[each] !== undefined);
  return isSaid || ofTable.length === 0 ? ['development'] : ofTable;
}

function rulesOf(channel: PrunableChannel, given: GivenRules, tier: ReleaseRetention | undefined): PruneRules {
  const keep = given.keep ?? tier?.keep;
  const keepWithin = given.keepWithin ?? tier?.within;
  if (keep === undefined && keepWithin === undefined) {
    throw new CarportError('E_USAGE', 'it is not said which releases stay', {
      hint: `give \`--keep NUMBER\` for the newest, \`--keep-within SPAN\` for the younger ones, or both: \`--keep 20 --keep-within 30d\`; or write \`[retention.${channel}]\` into carport.toml`,
    });
  }
  return { channel, keep: keep ?? 0, keepWithin: keepWithin ?? 0, grace: given.grace ?? tier?.grace ?? DEFAULT_GRACE };
}
