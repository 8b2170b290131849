import { basename } from 'node:path';
import * as v from 'valibot';
import { parseAllDocuments } from 'yaml';
import { readDocument } from '../support/markdown.js';

/** The sample pipelines, read as their systems read them: which jobs run for which event, with which variables. */

/** Variables of the system itself, as `test/release/environments.ts` has them. */
type Variables = Readonly<Record<string, string>>;

export interface Job {
  readonly name: string;
  /** Names of jobs that must have ended before. */
  readonly needs: readonly string[];
  /** What the clone has: the commit alone, it and all before it, or all branches. */
  readonly clone: 'commit' | 'history' | 'branches';
  readonly steps: readonly Step[];
  /** What it hands to other jobs when it has ended. */
  readonly gives?: Artifact;
  /** Whether it has what others gave. */
  readonly takes?: boolean;
}

/** Files in an archive. The job's own programs can send another archive in its place. */
export interface Artifact {
  /** A file or directory in the workspace. */
  readonly path: string;
  /** Its name in the archive. */
  readonly name: string;
  /** The directory of other jobs' workspaces in which the archive is unpacked. */
  readonly into: string;
}

export interface Step {
  /** The program that runs the lines, and its arguments before the file with them. */
  readonly shell: readonly string[];
  readonly script: string;
  /** What the pipeline sets, secrets among it. */
  readonly env: Variables;
}

/** What happened, and what the system knows of it beside its variables. */
export interface Occasion {
  readonly env: Variables;
  readonly secrets: Variables;
  /** The name of the cron job. */
  readonly cron?: string;
  /** What was typed into the form of Actions. */
  readonly inputs?: Variables;
}

export interface Sample {
  readonly files: readonly string[];
  readonly jobsFor: (occasion: Occasion) => readonly Job[];
}

const Text = v.string();
const Texts = v.array(v.string());
const Commands = v.pipe(Texts, v.minLength(1));

const SH = ['sh', '-e'] as const;
/** What GitHub and Forgejo run where there is a bash. */
const BASH = ['bash', '--noprofile', '--norc', '-eo', 'pipefail'] as const;

const DRONE = '.drone.yml';
const WOODPECKER = ['release', 'index', 'refresh', 'promote'].map((name) => `.woodpecker/${name}.yaml`);
const GITLAB = '.gitlab-ci.yml';
const FORGEJO = 'forgejo-release.yml';

export const SAMPLES: Readonly<Record<'drone' | 'woodpecker' | 'github' | 'forgejo' | 'gitlab', Sample>> = {
  drone: { files: [DRONE], jobsFor: droneJobs },
  woodpecker: { files: WOODPECKER, jobsFor: woodpeckerJobs },
  github: { files: ['github-release.yml'], jobsFor: (occasion) => actionsJobs('github-release.yml', occasion) },
  forgejo: { files: [FORGEJO], jobsFor: (occasion) => actionsJobs(FORGEJO, occasion) },
  gitlab: { files: [GITLAB], jobsFor: gitlabJobs },
};

export function readSample(path: string): string {
  return readDocument(`samples/${path}`);
}

/** The YAML documents of a sample; throws for what a parser warns of. */
function yamlOf(text: string): readonly unknown[] {
  return parseAllDocuments(text).map((document) => {
    const [fault] = [...document.errors, ...document.warnings];
    if (fault) throw fault;
    return document.toJS();
  });
}

const FromSecret = v.strictObject({ from_secret: Text });
const StepEnvironment = v.record(Text, v.union([Text, FromSecret]));
const ContainerStep = v.strictObject({
  name: Text,
  image: Text,
  environment: v.optional(StepEnvironment, {}),
  commands: Commands,
});

const DronePipeline = v.strictObject({
  kind: v.literal('pipeline'),
  type: v.literal('docker'),
  name: Text,
  trigger: v.strictObject({
    event: Texts,
    ref: v.optional(Texts),
    cron: v.optional(Texts),
    target: v.optional(Texts),
  }),
  environment: v.optional(v.record(Text, Text), {}),
  depends_on: v.optional(Texts, []),
  steps: v.pipe(v.array(ContainerStep), v.minLength(1)),
});

function droneJobs({ env, secrets, cron }: Occasion): readonly Job[] {
  const pipelines = yamlOf(readSample(DRONE))
    .filter((document) => document !== null)
    .map((document) => v.parse(DronePipeline, document));
  const chosen = pipelines.filter(
    ({ trigger }) =>
      isAmong(trigger.event, env.DRONE_BUILD_EVENT) &&
      (!trigger.ref || isAmong(trigger.ref, env.DRONE_COMMIT_REF)) &&
      (!trigger.cron || isAmong(trigger.cron, cron)) &&
      (!trigger.target || isAmong(trigger.target, env.DRONE_DEPLOY_TO)),
  );
  return chosen.map(({ name, depends_on, environment, steps }) => ({
    ...{ name, needs: depends_on, clone: 'commit' },
    steps: steps.map((step) => ({
      shell: SH,
      script: step.commands.join('\n'),
      env: { ...environment, ...containerEnvironment(step.environment, secrets) },
    })),
  }));
}

const WoodpeckerWorkflow = v.strictObject({
  when: v.pipe(
    v.array(
      v.strictObject({
        event: Text,
        branch: v.optional(Text),
        ref: v.optional(Text),
        cron: v.optional(Text),
        evaluate: v.optional(Text),
      }),
    ),
    v.minLength(1),
  ),
  matrix: v.optional(v.strictObject({ TARGET: Commands })),
  depends_on: v.optional(Texts, []),
  steps: v.pipe(v.array(ContainerStep), v.minLength(1)),
});

function woodpeckerJobs({ env, secrets, cron }: Occasion): readonly Job[] {
  const workflows = WOODPECKER.flatMap((path) => {
    const [, name] = /\/(\w+)\.yaml$/.exec(path)!;
    const { TARGET: targets = [undefined] } = parseWorkflow(readSample(path)).matrix ?? {};
    // The text is changed before it is read, as Woodpecker does.
    return targets.map((target) => ({ name: name!, ...parseWorkflow(substituted(readSample(path), target)) }));
  });
  const chosen = workflows.filter(({ when }) =>
    when.some(
      ({ event, branch, ref, cron: wanted, evaluate }) =>
        event === env.CI_PIPELINE_EVENT &&
        (!branch || branch === env.CI_COMMIT_BRANCH) &&
        (!ref || isAmong([ref], env.CI_COMMIT_REF)) &&
        (!wanted || wanted === cron) &&
        (!evaluate || isEqual(evaluate, env)),
    ),
  );
  const names = chosen.map(({ name }) => name);
  // One that waits for what is left out is left out.
  const complete = chosen.filter(({ depends_on }) => depends_on.every((name) => names.includes(name)));
  return complete.map(({ name, depends_on, steps }) => ({
    ...{ name, needs: depends_on, clone: 'commit' },
    steps: steps.map((step) => ({
      shell: SH,
      script: step.commands.join('\n'),
      env: containerEnvironment(step.environment, secrets),
    })),
  }));
}

function parseWorkflow(text: string): v.InferOutput<typeof WoodpeckerWorkflow> {
  return v.parse(WoodpeckerWorkflow, yamlOf(text)[0]);
}

/** The matrix's variable is put in place of `${TARGET}`; that is the only braced one here. */
function substituted(text: string, target: string | undefined): string {
  return text.replaceAll(/\$\{(\w+)\}/g, (_, name) => {
    if (name !== 'TARGET' || target === undefined) throw new Error(`Woodpecker would replace \${${name}} by nothing`);
    return target;
  });
}

const Checkout = v.strictObject({
  uses: v.pipe(Text, v.regex(/(^|\/)actions\/checkout@[0-9a-f]{40}$/)),
  with: v.strictObject({ 'persist-credentials': v.literal(false), 'fetch-depth': v.optional(v.literal(0)) }),
});
const SetupNode = v.strictObject({
  uses: v.pipe(Text, v.regex(/^actions\/setup-node@[0-9a-f]{40}$/)),
  with: v.strictObject({ 'node-version': v.pipe(Text, v.regex(/^\d+\.\d+\.\d+$/)) }),
});
const Upload = v.strictObject({
  uses: v.pipe(Text, v.regex(/(^|\/)upload-artifact@[0-9a-f]{40}$/)),
  with: v.strictObject({
    name: v.pipe(Text, v.regex(/^\$\{\{ matrix\.target \}\}$/)),
    path: Text,
    'if-no-files-found': v.literal('error'),
  }),
});
const Download = v.strictObject({
  uses: v.pipe(Text, v.regex(/(^|\/)download-artifact@[0-9a-f]{40}$/)),
  with: v.strictObject({ path: Text }),
});
const Run = v.strictObject({ run: Text, env: v.optional(v.record(Text, Text), {}) });
const ActionsJob = v.strictObject({
  if: v.pipe(Text, v.regex(/^github\.\w+ == '[\w/]+'( && github\.\w+ == '[\w/]+')*$/)),
  needs: v.optional(Text),
  strategy: v.optional(v.strictObject({ 'fail-fast': v.literal(false), matrix: v.strictObject({ target: Commands }) })),
  'runs-on': Text,
  container: v.optional(v.strictObject({ image: Text })),
  environment: v.optional(Text),
  env: v.optional(v.record(Text, Text), {}),
  steps: v.pipe(v.array(v.union([Checkout, SetupNode, Upload, Download, Run])), v.minLength(2)),
});
const Input = v.strictObject({ description: Text, required: v.boolean(), type: v.literal('string') });
const ActionsWorkflow = v.strictObject({
  name: Text,
  on: v.strictObject({
    push: v.strictObject({ branches: Texts, tags: Texts }),
    schedule: v.array(v.strictObject({ cron: v.pipe(Text, v.regex(/^(\S+ ){4}\S+$/)) })),
    workflow_dispatch: v.strictObject({ inputs: v.record(Text, Input) }),
  }),
  permissions: v.optional(v.strictObject({ contents: v.literal('read') })),
  jobs: v.record(Text, ActionsJob),
});

function actionsJobs(path: string, { env, secrets, inputs = {} }: Occasion): readonly Job[] {
  const { on, jobs } = v.parse(ActionsWorkflow, yamlOf(readSample(path))[0]);
  const event = env.GITHUB_EVENT_NAME!;
  const { branches, tags } = on.push;
  const isWanted =
    event === 'push'
      ? isAmong(env.GITHUB_REF_TYPE === 'tag' ? tags : branches, env.GITHUB_REF_NAME)
      : Object.keys(on).includes(event);
  if (!isWanted) return [];
  const chosen = Object.entries(jobs).filter(([, job]) => holds(job.if, env));
  const into = Object.values(jobs).flatMap(({ steps }) => steps.filter((step) => v.is(Download, step)))[0]!.with.path;
  // GitHub's are of an environment, and not of the repository.
  const secretsOf = ({ environment }: v.InferOutput<typeof ActionsJob>) =>
    path === FORGEJO || environment !== undefined ? secrets : {};
  return chosen.flatMap(([name, job]) => {
    const { needs, strategy, env: common, steps } = job;
    const [checkout] = steps;
    const depth = v.is(Checkout, checkout) ? checkout.with['fetch-depth'] : undefined;
    const upload = steps.find((step) => v.is(Upload, step));
    return (strategy?.matrix.target ?? [undefined]).map((target) => {
      const known = { secrets: secretsOf(job), inputs, matrix: { ...(target && { target }) } };
      return {
        ...{ name, needs: needs === undefined ? [] : [needs], clone: depth === 0 ? 'branches' : 'commit' },
        takes: steps.some((step) => v.is(Download, step)),
        // The directories above what it has are left out.
        ...(upload && {
          gives: { path: upload.with.path, name: basename(upload.with.path), into: `${into}/${target}` },
        }),
        steps: steps.flatMap((step) =>
          v.is(Run, step)
            ? [{ shell: BASH, script: step.run, env: expanded({ ...common, ...(step.env ?? {}) }, known) }]
            : [],
        ),
      } as const;
    });
  });
}

/** An `if` of Actions. */
function holds(condition: string, env: Variables): boolean {
  const terms = [...condition.matchAll(/github\.(\w+) == '([^']*)'/g)];
  return terms.every(([, name, value]) => env[`GITHUB_${name!.toUpperCase()}`] === value);
}

/** `${{ secrets.NAME }}` in the values of variables; in lines they would be text of anybody. */
function expanded(env: Variables, known: Readonly<Record<string, Variables>>): Variables {
  const values = Object.entries(env).map(([name, value]) => {
    const text = value.replaceAll(/\$\{\{ (\w+)\.(\w+) \}\}/g, (_, context, key) => known[context]?.[key] ?? '');
    return [name, text] as const;
  });
  return Object.fromEntries(values);
}

const Rules = v.pipe(
  v.array(
    v.strictObject({
      if: Text,
      when: v.optional(v.literal('manual')),
      allow_failure: v.optional(v.literal(true)),
    }),
  ),
  v.minLength(1),
);
const GitlabJob = v.strictObject({
  stage: Text,
  image: v.optional(Text),
  rules: Rules,
  parallel: v.optional(v.strictObject({ matrix: v.tuple([v.strictObject({ TARGET: Commands })]) })),
  environment: v.optional(v.pipe(Text, v.regex(/^releases(\/\w+)?$/))),
  dependencies: v.optional(v.tuple([])),
  variables: v.optional(v.strictObject({ GIT_DEPTH: v.literal(0) })),
  script: Commands,
  artifacts: v.optional(v.strictObject({ paths: v.tuple([Text]), expire_in: Text })),
});
const GitlabPipeline = v.objectWithRest(
  {
    workflow: v.strictObject({ rules: Rules }),
    stages: Commands,
    default: v.strictObject({ image: Text }),
  },
  GitlabJob,
);

/** A job that waits for somebody is taken for one whose button was pressed. */
function gitlabJobs({ env, secrets }: Occasion): readonly Job[] {
  const { workflow, stages, default: _, ...rest } = v.parse(GitlabPipeline, yamlOf(readSample(GITLAB))[0]);
  const applies = (rules: v.InferOutput<typeof Rules>) => rules.some((rule) => isTrue(rule.if, env));
  if (!applies(workflow.rules)) return [];
  const chosen = Object.entries(rest as Record<string, v.InferOutput<typeof GitlabJob>>)
    .filter(([, { rules }]) => applies(rules))
    .sort(([, one], [, other]) => stages.indexOf(one.stage) - stages.indexOf(other.stage));
  return chosen.flatMap(([name, job]) => {
    const { stage, parallel, variables, script, environment, dependencies, artifacts } = job;
    const before = chosen.filter(([, other]) => stages.indexOf(other.stage) < stages.indexOf(stage));
    return (parallel ? parallel.matrix[0].TARGET : [undefined]).map((target) => {
      // Variables of the project have an environment scope, `releases*`.
      const variable = { ...(environment && secrets), ...(target && { TARGET: target }) };
      const path = artifacts?.paths[0].replace('$TARGET', target!);
      return {
        ...{ name, needs: before.map(([other]) => other), takes: dependencies === undefined },
        clone: variables ? ('history' as const) : ('commit' as const),
        ...(path !== undefined && { gives: { path, name: path, into: '.' } }),
        steps: [{ shell: SH, script: script.join('\n'), env: variable }],
      };
    });
  });
}

/** A rule of GitLab, of those kinds that are used here. */
function isTrue(rule: string, env: Variables): boolean {
  return rule.split(' && ').every((term) => {
    const [, name, operator, operand] = /^\$(\w+)(?: (==|=~) (\S+))?$/.exec(term)!;
    const value = env[name!] ?? '';
    if (operator === undefined) return value !== '';
    if (operator === '=~') return new RegExp(operand!.slice(1, -1)).test(value);
    return value === (operand!.startsWith('$') ? env[operand!.slice(1)] : operand!.slice(1, -1));
  });
}

/** An `evaluate` of Woodpecker: one variable, one text. */
function isEqual(expression: string, env: Variables): boolean {
  const [, name, value] = /^(\w+) == "(\w+)"$/.exec(expression)!;
  return env[name!] === value;
}

function containerEnvironment(env: v.InferOutput<typeof StepEnvironment>, secrets: Variables): Variables {
  const values = Object.entries(env).map(([name, value]) => [
    name,
    typeof value === 'string' ? value : secrets[value.from_secret.toUpperCase()]!,
  ]);
  return Object.fromEntries(values);
}

/** `*` at the end of a pattern stands for anything but `/`. */
function isAmong(patterns: readonly string[], text: string | undefined): boolean {
  if (text === undefined) return false;
  return patterns.some((each) => {
    if (!each.endsWith('*')) return each === text;
    const [start, rest] = [each.slice(0, -1), text.slice(each.length - 1)];
    return text.startsWith(start) && !rest.includes('/');
  });
}
