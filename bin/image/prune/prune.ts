/** The command `image prune`. */

import { type RepositoryFacts, readFacts } from '../../../image/prune/facts.js';
import { type KeptReason, type PrunePlan, type PruneRules, planPrune } from '../../../image/prune/plan.js';
import { type Pruned, removePlanned } from '../../../image/prune/remove.js';
import { CarportError } from '../../../lib/errors.js';
import { parseImageName } from '../../../lib/oci/reference.js';
import type { ActivityEvent, Work } from '../../../lib/work.js';
import { confirmAtTerminal, isTerminal } from '../../cli/confirm.js';
import { type Context, note, writeJson, writeLines } from '../../cli/context.js';
import { count } from '../../cli/terminal.js';
import { readRepositories } from '../publish/plan.js';
import { closing, working } from '../push.js';
import { openRegistry } from '../registries.js';
import type { ImagePruneOptions } from './command.js';
import { pruneRulesOf } from './rules.js';

interface Repository {
  readonly name: string;
  readonly plan: PrunePlan;
  readonly nodes: RepositoryFacts['nodes'];
  readonly done?: Pruned;
}

/** Removes what rules do not keep. Without names it is of the repositories that the project publishes to. */
export async function prune(names: readonly string[], options: ImagePruneOptions, context: Context): Promise<void> {
  if (options.dryRun && options.yes) throw new CarportError('E_USAGE', '`--dry-run` and `--yes` exclude each other');
  const project = names.length > 0 ? { repositories: names, suffixes: [] } : await readRepositories(context);
  for (const name of project.repositories) checkName(name);
  const rules = await pruneRulesOf(options, project.suffixes, context);
  const use = (work: Work<ActivityEvent>) => ({ context, options, ...work });
  const planned = await working(options, context, async (work) => {
    const all: Repository[] = [];
    for (const name of project.repositories) all.push(await planOf(name, rules, use(work)));
    return all;
  });
  if (options.dryRun || planned.every(({ plan }) => isNothing(plan))) return tell(planned, options, context);
  if (!options.yes) await ask(planned, context);
  const done = await working(options, context, async (work) => {
    const pruned: Repository[] = [];
    for (const { name, plan, nodes } of planned) {
      const { store } = openRegistry(name, use(work), { writes: true, removes: true });
      const done = await closing(store, (open) => removePlanned(open, plan, nodes, work));
      pruned.push({ name, nodes, plan: done.plan, done });
    }
    return pruned;
  });
  await tell(done, options, context);
}

function checkName(text: string): void {
  const { tag, digest } = parseImageName(text.replace(/^docker:\/\//, ''));
  if (tag === undefined && digest === undefined) return;
  throw new CarportError('E_USAGE', `\`${text}\` names one image, and not the repository`, {
    hint: 'leave out the tag; `--match` chooses tags',
  });
}

async function planOf(name: string, rules: PruneRules, use: Parameters<typeof openRegistry>[1] & Work<ActivityEvent>) {
  const { store } = openRegistry(name, use);
  return closing(store, async (open) => {
    const facts = await readFacts(open, use);
    return { name, plan: planPrune(facts, rules), nodes: facts.nodes };
  });
}

function isNothing({ remove, untag }: PrunePlan): boolean {
  return remove.length + untag.length === 0;
}

async function ask(planned: readonly Repository[], context: Context): Promise<void> {
  const images = planned.reduce((sum, { plan }) => sum + plan.remove.length, 0);
  const names = planned.map(({ name }) => name).join(', ');
  if (isTerminal(context))
    return confirmAtTerminal(`${count(images, 'image')} of ${names} will be removed for good.`, context);
  throw new CarportError(
    'E_USAGE',
    `this removes ${count(images, 'image')} of ${names} for good, and there is no terminal to ask at`,
    {
      hint: 'look with `--dry-run` first; `--yes` does it without asking',
    },
  );
}

/** Why tags stay, as they are counted. */
const REASONS: Readonly<Record<KeptReason, string>> = {
  pattern: 'by their names',
  latest: 'latest',
  stable: 'stable',
  release: 'of releases',
  newest: 'newest',
  young: 'young',
  'no-age': 'of an age that is not known',
  'not-named': 'not looked at',
  changed: 'new since they were looked at',
  referrer: 'about others',
};

async function tell(repositories: readonly Repository[], options: ImagePruneOptions, context: Context): Promise<void> {
  const isDone = repositories.some(({ done }) => done !== undefined);
  if (options.json) {
    const told = repositories.map(({ name, plan, done }) => ({
      ...{
        name,
        removed: plan.remove,
        untagged: done?.untagged ?? plan.untag,
        stuck: done?.stuck ?? [],
        kept: plan.kept,
      },
    }));
    return writeJson(context.stdout, { repositories: told, result: options.dryRun ? 'planned' : 'done' });
  }
  for (const { name, plan, done } of repositories) {
    const lines = [
      ...plan.remove.map(({ digest, tags }) => `remove ${name}@${digest}  ${tags.join(' ') || '-'}`),
      ...(done?.untagged ?? plan.untag).map(({ tag }) => `untag ${name}:${tag}`),
    ];
    await writeLines(context.stdout, lines);
    for (const { tag } of done?.stuck ?? [])
      note(context, options, `${name}:${tag} stays: its image is needed, and the registry removes no tag alone`);
    const counts = (Object.keys(REASONS) as KeptReason[]).flatMap((reason) => {
      const kept = plan.kept.filter((each) => each.reason === reason).length;
      return kept > 0 ? [`${kept} ${REASONS[reason]}`] : [];
    });
    note(
      context,
      options,
      `${name}: ${count(plan.remove.length, 'image')} ${isDone ? 'removed' : 'to remove'}, ${count(plan.kept.length, 'tag')} kept${counts.length > 0 ? ` (${counts.join(', ')})` : ''}`,
    );
  }
}
