/** The command `ci env`. */

import { type Build, noVersion, readBuild, systemName } from '../../release/ci/detect.js';
import { channelRule } from '../../release/version.js';
import { settingsOf } from '../cli/command.js';
import { type CommonOptions, type Context, note, writeJson, writeLines } from '../cli/context.js';
import { printableLine } from '../cli/printable.js';
import { singleValue } from '../settings/settings.js';

export interface CiEnvOptions extends CommonOptions {
  readonly tag?: string;
  readonly commit?: string;
}

export async function showEnvironment(options: CiEnvOptions, context: Context): Promise<void> {
  const pattern = (await settingsOf({ ...options }, context))['stable-pattern'];
  const rule = channelRule(singleValue(pattern), pattern.origin);
  const build = readBuild(context.env, rule, options);
  for (const warning of build.warnings) note(context, {}, `warning: ${warning}`);
  const channelFrom = build.tag === undefined || pattern.values.length === 0 ? undefined : pattern.origin;
  if (options.json) await writeJson(context.stdout, { build: jsonOf(build), stablePattern: channelFrom ?? null });
  else await writeLines(context.stdout, linesOf(build, channelFrom));
  if (build.version === undefined) throw noVersion(build);
}

type Field = keyof Build['origins'];

const FIELDS: readonly Field[] = ['system', 'version', 'channel', 'tag', 'commit', 'event', 'runUrl', 'target'];

function linesOf(build: Build, channelFrom: string | undefined): readonly string[] {
  return FIELDS.map((field) => {
    const value = field === 'system' ? systemName(build.system) : build[field];
    const origins = [build.origins[field], field === 'channel' ? channelFrom : undefined].filter(Boolean).join(', ');
    const line = `${field === 'runUrl' ? 'run' : field}: ${value ?? '-'}${origins === '' ? '' : `  (${origins})`}`;
    return printableLine(line);
  });
}

function jsonOf(build: Build): object {
  const values = FIELDS.map((field) => [field, build[field] ?? null]);
  return { ...Object.fromEntries(values), origins: build.origins, warnings: build.warnings };
}
