/** The command `config`: settings and where they are from. */

import type { Command } from 'commander';
import { mayBeKey } from '../../lib/signing/likely-key.js';
import { HIDDEN_KEY } from '../../lib/signing/secret-form.js';
import { type CommonOptions, type Context, say, writeJson, writeLines } from '../cli/context.js';
import { printable, printableLine } from '../cli/printable.js';
import { redactSetting } from '../cli/redact.js';
import { declareCommand } from '../declaration/command.js';
import { userConfigFile } from './config-file.js';
import { describeOrigin, holdsKey } from './misplaced-keys.js';
import { readSettings } from './read.js';
import { SETTINGS, type SettingKey } from './table.js';

export function configure(command: Command, context: Context): void {
  command.description('Settings of carport.');
  declareCommand(command.command('show'), context, {
    description: 'Prints every setting, its value, and where the value is from.',
    examples: ['carport config show', 'carport config show --json'],
    run: (options) => show(options, context),
  });
}

async function show(options: CommonOptions, context: Context): Promise<void> {
  const settings = await readSettings({}, context);
  const rows = (Object.keys(SETTINGS) as SettingKey[]).map((key) => {
    const origin = settings[key].origin.name;
    const values = withoutSecrets(key, settings[key].texts);
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
  for (const { key } of rows.filter(({ key }) => holdsKey(key, settings[key].texts))) {
    const place = describeOrigin(key, settings[key].origin);
    say(
      context,
      `${printableLine(`warning: ${place} holds a key itself, and not the name of its file: commands refuse it`)}\n`,
    );
  }
}

/** The texts, but nothing of a key, also of one that is damaged, cut by the white space in it, or a part without a name. */
function withoutSecrets(key: SettingKey, texts: readonly string[]): readonly string[] {
  const isPart = key === 'secret-key-files' && texts.some(mayBeKey);
  return isPart || holdsKey(key, texts) ? [HIDDEN_KEY] : texts.map(redactSetting);
}
