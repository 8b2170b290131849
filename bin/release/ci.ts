/** The command `ci env`. */

import { type Build, noVersion, readBuild, systemName } from '../../release/ci/detect.js';
import { channelRule } from '../../release/version.js';
import { type Context, writeJson, writeLines } from '../cli/context.js';
import { printableLine } from '../cli/printable.js';
import { warnPeople } from '../cli/warnings.js';
import { isGiven } from '../settings/setting.js';
import type { CiEnvOptions } from './ci-command.js';

/** Prints which version and channel this build has. Throws `E_NOT_FOUND` where it has none. */
export async function showEnvironment(options: CiEnvOptions, context: Context): Promise<void> {
  const pattern = options.settings['stable-pattern'];
  const rule = pattern.value ?? channelRule();
  const build = readBuild(context.env, rule, options);
  const warn = warnPeople(context);
  for (const message of build.warnings) warn({ type: 'warning', message });
  const channelFrom = build.tag === undefined || !isGiven(pattern) ? undefined : pattern.origin.name;
  if (options.json) await writeJson(context.stdout, { build: jsonOf(build), stablePattern: channelFrom ?? null });
  else await writeLines(context.stdout, linesOf(build, channelFrom));
  if (build.version === undefined) throw noVersion(build);
}

type Field = keyof Build['origins'];

const FIELDS: readonly Field[] = [
  'system',
  'version',
  'channel',
  'component',
  'tag',
  'commit',
  'event',
  'runUrl',
  'target',
];

/** What is told of a build: most have no component, and then none is told. */
function fieldsOf({ component }: Build): readonly Field[] {
  return FIELDS.filter((field) => field !== 'component' || component !== undefined);
}

function linesOf(build: Build, channelFrom: string | undefined): readonly string[] {
  return fieldsOf(build).map((field) => {
    const value = field === 'system' ? systemName(build.system) : build[field];
    const origins = [build.origins[field], field === 'channel' ? channelFrom : undefined].filter(Boolean).join(', ');
    const line = `${field === 'runUrl' ? 'run' : field}: ${value ?? '-'}${origins === '' ? '' : `  (${origins})`}`;
    return printableLine(line);
  });
}

function jsonOf(build: Build): object {
  const values = fieldsOf(build).map((field) => [field, build[field] ?? null]);
  return { ...Object.fromEntries(values), origins: build.origins, warnings: build.warnings };
}
