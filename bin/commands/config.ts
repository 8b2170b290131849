import type { Command } from 'commander';
import { describeCommand, settingsOf } from '../command.js';
import { type CommonOptions, type Context, writeJson, writeLines } from '../context.js';
import { printable } from '../printable.js';
import { SETTINGS, type SettingKey, userConfigFile } from '../settings.js';

export function configure(command: Command, context: Context): void {
  command.description('Settings of carport.');
  describeCommand(
    command.command('show'),
    'Prints every setting, its value, and where the value is from.',
    'carport config show',
    'carport config show --json',
  ).action((options: CommonOptions) => show(options, context));
}

async function show(options: CommonOptions, context: Context): Promise<void> {
  const settings = await settingsOf({}, context);
  const rows = (Object.keys(SETTINGS) as SettingKey[]).map((key) => {
    const { origin } = settings[key];
    const values = settings[key].values.map(withoutPassword);
    const { list, env, option, description } = SETTINGS[key];
    return { key, value: list ? values : (values.at(-1) ?? null), origin, option, env, description };
  });
  if (options.json) return writeJson(context.stdout, { userFile: userConfigFile(context.env), settings: rows });
  const width = Math.max(...rows.map(({ key }) => key.length));
  await writeLines(
    context.stdout,
    rows.map(({ key, value, origin }) =>
      printable(`${key.padEnd(width)}  ${[value ?? []].flat().join(' ') || '-'}  (${origin})`),
    ),
  );
}

/** A URL that holds one is refused when it is used, but is shown before. */
function withoutPassword(value: string): string {
  return value
    .replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i, '$1…@')
    .replace(/(endpoint=[a-z]+:\/\/)[^/?#&]*@/i, '$1…@');
}
