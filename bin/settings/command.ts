/** The command `config`: settings and where they are from. */

import type { Command } from 'commander';
import { mayBeKey } from '../../lib/signing/likely-key.js';
import { HIDDEN_KEY } from '../../lib/signing/secret-form.js';
import { describeCommand } from '../cli/command.js';
import { type CommonOptions, type Context, say, writeJson, writeLines } from '../cli/context.js';
import { printable, printableLine } from '../cli/printable.js';
import { redactSetting } from '../cli/redact.js';
import { holdsKey, originOf } from './misplaced-keys.js';
import { readSettings, SETTINGS, type Setting, type SettingKey, userConfigFile } from './settings.js';

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
  const settings = await readSettings({}, context.env, process.cwd());
  const rows = (Object.keys(SETTINGS) as SettingKey[]).map((key) => {
    const { origin } = settings[key];
    const values = withoutSecrets(key, settings[key]);
    const { list, env, option, description } = SETTINGS[key];
    return { key, value: list ? values : (values.at(-1) ?? null), origin, option, env, description };
  });
  if (options.json) await writeJson(context.stdout, { userFile: userConfigFile(context.env), settings: rows });
  else {
    const width = Math.max(...rows.map(({ key }) => key.length));
    await writeLines(
      context.stdout,
      rows.map(({ key, value, origin }) =>
        printable(`${key.padEnd(width)}  ${[value ?? []].flat().join(' ') || '-'}  (${origin})`),
      ),
    );
  }
  for (const { key } of rows.filter(({ key }) => holdsKey(key, settings[key]))) {
    const place = originOf(key, settings[key]);
    say(
      context,
      `${printableLine(`warning: ${place} holds a key itself, and not the name of its file: commands refuse it`)}\n`,
    );
  }
}

/** Also of a key that is damaged, cut by the white space in it, or a part of one without a name, nothing is shown. */
function withoutSecrets(key: SettingKey, setting: Setting): readonly string[] {
  const isPart = key === 'secret-key-files' && setting.values.some(mayBeKey);
  return isPart || holdsKey(key, setting) ? [HIDDEN_KEY] : setting.values.map(redactSetting);
}
