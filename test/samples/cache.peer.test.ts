import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import { readDocument, TOP } from '../support/markdown.js';
import { createNixStore, describeWithNix, type NixStore } from '../support/nix.js';
import { CARPORT, type KeyFile, useSandbox } from '../support/sandbox.js';
import { environmentOf, SECRETS, SYSTEMS, type System } from './occasions.js';
import { program } from './project.js';

/** Pipelines that build with Nix and push to a cache, for each system: what they run for an event, in a shell, with real Nix. */

type Variables = Readonly<Record<string, string>>;
type Event = 'main' | 'tag' | 'pull';

interface Lines {
  readonly script: string;
  readonly env: Variables;
}

const FILES = {
  drone: '.drone.yml',
  woodpecker: '.woodpecker.yaml',
  github: 'github.yml',
  forgejo: 'forgejo.yml',
  gitlab: '.gitlab-ci.yml',
};

interface ContainerStep {
  readonly environment?: Readonly<Record<string, string | { readonly from_secret: string }>>;
  readonly commands: readonly string[];
  readonly when:
    | { readonly event: string | readonly string[] }
    | readonly { readonly event: string | readonly string[] }[];
}

/** Secrets as the system hands them out; a pull request of a fork has none. */
function linesFor(system: System, event: Event, secrets: Variables): Lines {
  const sample = parse(readDocument(`samples/cache/${FILES[system]}`));
  if (system === 'gitlab') {
    return { script: sample.build.script.join('\n'), env: { ...sample.build.variables, ...secrets } };
  }
  return system === 'drone' || system === 'woodpecker'
    ? containerLines(sample, event, secrets)
    : actionLines(sample, event, secrets);
}

function containerLines(
  sample: { readonly environment?: Variables; readonly steps: readonly ContainerStep[] },
  event: Event,
  secrets: Variables,
): Lines {
  const name = { main: 'push', tag: 'tag', pull: 'pull_request' }[event];
  const [step, ...more] = sample.steps.filter(({ when }) =>
    [when].flat().some((each) => [each.event].flat().includes(name)),
  );
  expect(more).toEqual([]);
  const own = Object.entries(step!.environment ?? {}).map(([key, value]) => [
    key,
    typeof value === 'string' ? value : secrets[value.from_secret.toUpperCase()],
  ]);
  // Woodpecker refuses a secret that an event may not have.
  expect(own.filter(([, value]) => value === undefined)).toEqual([]);
  return { script: step!.commands.join('\n'), env: { ...sample.environment, ...Object.fromEntries(own) } };
}

/** The steps of the composite action, with the inputs of the sample's step. */
function actionLines(
  sample: {
    readonly jobs: {
      readonly build: { readonly env: Variables; readonly steps: readonly { uses?: string; with: Variables }[] };
    };
  },
  event: Event,
  secrets: Variables,
): Lines {
  const { env, steps } = sample.jobs.build;
  const given = steps.find(({ uses }) => uses?.includes('/acme/carport@') || uses?.startsWith('acme/carport@'))!.with;
  const action = parse(readDocument('action.yml')) as {
    readonly inputs: Readonly<Record<string, { readonly default?: string }>>;
    readonly runs: { readonly steps: readonly { readonly run: string; readonly env: Variables }[] };
  };
  expect(Object.keys(given).filter((name) => !(name in action.inputs))).toEqual([]);
  const context = {
    'github.event_name': event === 'pull' ? 'pull_request' : 'push',
    'github.ref_type': event === 'tag' ? 'tag' : 'branch',
  };
  const known = {
    ...context,
    ...Object.fromEntries(Object.entries(secrets).map(([key, value]) => [`secrets.${key}`, value])),
  };
  const inputs = Object.entries(action.inputs).map(([key, { default: fallback = '' }]) => [
    `inputs.${key}`,
    given[key] === undefined ? fallback : expanded(given[key], known),
  ]);
  const set = action.runs.steps.flatMap((step) =>
    Object.entries(step.env).map(([key, value]) => [key, expanded(value, Object.fromEntries(inputs))]),
  );
  const script = action.runs.steps.map(({ run }) => run).join('\n');
  return { script, env: { ...env, ...Object.fromEntries(set), GITHUB_ACTION_PATH: TOP } };
}

/** `${{ … }}` of Actions, of those kinds that are used here: names, texts, `==`, `&&`, `||`. */
function expanded(text: string, known: Variables): string {
  const valueOfTerm = (term: string) => /^'(.*)'$/.exec(term)?.[1] ?? known[term] ?? '';
  const isTrue = (term: string) => {
    const [left, right] = term.split(' == ');
    return right === undefined ? valueOfTerm(left!) !== '' : valueOfTerm(left!) === valueOfTerm(right);
  };
  return text.replaceAll(/\$\{\{ (.*?) \}\}/g, (_, expression: string) => {
    for (const alternative of expression.split(' || ')) {
      const terms = alternative.split(' && ');
      if (terms.every(isTrue)) return valueOfTerm(terms.at(-1)!);
    }
    return '';
  });
}

describeWithNix('a sample that builds with Nix and pushes', () => {
  const box = useSandbox('all');
  let nix: NixStore;
  let key: KeyFile;
  let secrets: Variables;
  beforeAll(async () => {
    nix = await createNixStore({ ownStoreDir: true });
    key = await box().makeKey('my-cache-1');
    secrets = { ...SECRETS, CARPORT_SECRET_KEY: (await readFile(key.file, 'utf8')).trim() };
    await program(box().path('bin/carport'), [`exec ${process.execPath} ${CARPORT} "$@"`]);
  });
  afterAll(() => nix.remove());

  const cacheOf = (system: System) => box().path(`cache-${system}`);

  /** Runs the lines of a sample for an event in a checkout of its own; its addresses are those of this test. */
  const run = async (system: System, event: Event) => {
    const checkout = box().path(`work/${system}-${event}`);
    await mkdir(checkout, { recursive: true });
    const derivation = `derivation { name = "tool-${system}"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo built here >&2; echo ${system} > $out" ]; }`;
    await writeFile(join(checkout, 'default.nix'), derivation);
    const { script, env } = linesFor(system, event, event === 'pull' ? {} : secrets);
    const local = Object.entries(env).map(([name, value]) => [
      name,
      value
        .replaceAll('s3://nix?endpoint=https://garage.example.org&region=garage', cacheOf(system))
        .replaceAll('https://nix.example.org', `file://${cacheOf(system)}`)
        .replaceAll(/my-cache-1:[\w+/]{43}=/g, (found) =>
          secrets.CARPORT_SECRET_KEY!.startsWith(found) ? found : key.publicKey,
        ),
    ]);
    const ran = await execa('bash', ['--noprofile', '--norc', '-eo', 'pipefail', '-c', script], {
      ...{ cwd: checkout, extendEnv: false, reject: false, all: true },
      env: {
        ...box().env,
        ...nix.env,
        PATH: [box().path('bin'), nix.env.PATH, process.env.PATH].join(delimiter),
        ...environmentOf(system, event),
        ...{ RUNNER_TEMP: box().path('tmp'), GITHUB_PATH: box().path('tmp/path') },
        ...Object.fromEntries(local),
      },
    });
    for (const secret of Object.values(secrets)) expect(ran.all, 'a secret was printed').not.toContain(secret);
    expect(ran.exitCode, ran.all).toBe(0);
    return ran.all;
  };

  const pinsOf = async (system: System) => {
    const { stdout } = await box().succeed([
      'pin',
      'ls',
      '--from',
      cacheOf(system),
      '--json',
      '--trusted-key',
      key.publicKey,
    ]);
    return (JSON.parse(stdout).pins as readonly { name: string }[]).map(({ name }) => name);
  };

  it.each(SYSTEMS)(
    'pushes and pins for a tag and on main, and reads for a pull request without secrets: %s',
    async (system) => {
      const event = SYSTEMS.indexOf(system) % 2 === 0 ? 'tag' : 'main';
      const built = await run(system, event);
      expect(built).toContain('built here');
      expect(await pinsOf(system)).toEqual([event === 'tag' ? 'tool-stable' : 'tool-main']);
      await rm(box().path(`work/${system}-${event}`), { recursive: true });
      await nix.run('nix-collect-garbage', []);
      const pulled = await run(system, 'pull');
      expect(pulled).not.toContain('built here');
      expect(pulled).toContain('copying path');
      expect(await pinsOf(system)).toEqual([event === 'tag' ? 'tool-stable' : 'tool-main']);
    },
  );

  it.each(SYSTEMS)('names images and actions by version: %s', (system) => {
    const text = readDocument(`samples/cache/${FILES[system]}`);
    const images = text.match(/(?<=image: )\S+/g) ?? [];
    expect(images.filter((image) => !/:\d+\.\d+\.\d+$/.test(image))).toEqual([]);
    const actions = text.match(/(?<=uses: )\S+/g) ?? [];
    expect(actions.filter((action) => !/@[0-9a-f]{40}$/.test(action))).toEqual([]);
  });
});
