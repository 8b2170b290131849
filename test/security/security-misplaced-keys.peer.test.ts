import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command, Option } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createWholeProgram, runCommandLine } from '#bin/program.js';
import { renderSecretKey, secretKeyFromSeed } from '#lib/signing/key.js';
import { fakeContext } from '../support/context.js';

// Every command, and every option of each that takes a value, is given a secret key.

/** The same each time: of random keys one in thousands has the form of something else when a part is missing. */
const SEED = createHash('sha256').update('a key that is given in the wrong place').digest();
const [name, secret] = renderSecretKey(secretKeyFromSeed('test-1', SEED)).split(':') as [string, string];
const key = `${name}:${secret}`;
const encoded = encodeURIComponent(key);

/** Whole, and what is refused for another reason, if at all. */
const WHOLE = {
  plain: key,
  quoted: `"${key}"`,
  line: `${key}\n`,
  encoded,
  wrapped: `${key.slice(0, 40)}\n${key.slice(40)}`,
};
const PARTS = { truncated: key.slice(0, -26), 'one letter wrong': key.replace(/.(?===$)/, 'Ax') };

/** What may be in no output: both halves, as they are and as a URL has them. */
const pieces = [secret.slice(0, 40), secret.slice(45, 80), encodeURIComponent(secret.slice(0, 40))].map((text) =>
  text.slice(0, 30),
);

const MORE = [[], ['--json'], ['-vv']];
let home: string;
const commands: Command[] = [];

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'carport-test-'));
  const collect = (command: Command): void => {
    if (command.commands.length === 0) commands.push(command);
    for (const child of command.commands) collect(child);
  };
  collect(await createWholeProgram(fakeContext()));
});
afterAll(() => rm(home, { recursive: true }));

async function run(args: readonly string[], more: NodeJS.ProcessEnv = {}) {
  const dirs = { HOME: home, XDG_DATA_HOME: join(home, 'd'), XDG_STATE_HOME: join(home, 's'), XDG_CONFIG_HOME: home };
  const context = fakeContext({ ...dirs, PATH: home, AWS_EC2_METADATA_DISABLED: 'true', NO_COLOR: '1', ...more });
  const exitCode = await runCommandLine(args, context);
  const output = context.stdout.text() + context.stderr.text();
  for (const piece of pieces) expect(output.includes(piece), `${args[0]} ${args[1]}: ${exitCode}`).toBe(false);
  return { exitCode, output };
}

function wordsOf(command: Command): readonly string[] {
  return command.parent ? [...wordsOf(command.parent), command.name()] : [];
}

/** What a command needs beside an option or argument, so that it is not refused for that. */
function filled(command: Command, without?: Option): readonly string[] {
  // Some commands make the cache that they are given.
  const fill = (name: string) => (['cache', 'from', 'to'].includes(name) ? join(home, 'x') : 'x');
  const args = command.registeredArguments.filter(({ required }) => required).map((each) => fill(each.name()));
  const options = command.options
    .filter((option) => option.mandatory && option !== without)
    .flatMap(({ long, argChoices }) => [long!, argChoices?.[0] ?? join(home, 'out')]);
  return [...wordsOf(command), ...args, ...options];
}

describe('a secret key', () => {
  it('knows all commands', () => {
    expect(commands.length).toBeGreaterThan(35);
  });

  it('is refused as the value of every option, by its name', async () => {
    for (const command of commands) {
      for (const option of command.options.filter(({ required, optional }) => required || optional)) {
        for (const [form, value] of Object.entries(WHOLE)) {
          const more = MORE[form.length % MORE.length]!;
          for (const given of [[option.long!, value], [`${option.long}=${value}`]]) {
            const { exitCode, output } = await run([...filled(command, option), ...given, ...more]);
            expect([exitCode, output]).toEqual([4, expect.stringContaining(`\`${option.long}\` holds a key itself`)]);
          }
        }
      }
    }
  });

  it('is refused as an argument of every command', async () => {
    for (const command of commands) {
      for (const value of Object.values(WHOLE)) {
        const { exitCode, output } = await run([...wordsOf(command), value, ...filled(command).slice(2)]);
        expect([exitCode, output]).toEqual([4, expect.stringContaining('holds a key itself')]);
      }
    }
  });

  it('is refused where a command or an option should be', async () => {
    for (const value of Object.values(WHOLE)) {
      for (const args of [[value], ['store', value], ['help', value], ['push', `--${value}`], [`--${value}`]]) {
        expect((await run(args)).exitCode).toBe(4);
      }
    }
  });

  it('of which only a part is given is in no output of any command', async () => {
    for (const command of commands) {
      for (const value of Object.values(PARTS)) {
        await run([...wordsOf(command), value, ...filled(command).slice(wordsOf(command).length + 1), '-vv']);
        for (const option of command.options.filter(({ required, optional }) => required || optional)) {
          await run([...filled(command, option), option.long!, value, '--json']);
        }
      }
    }
    for (const value of Object.values(PARTS)) await run(['store', value, '-vv']);
  });

  it.each(['CARPORT_SECRET_KEY_FILES', 'CARPORT_TO', 'CARPORT_FROM', 'CARPORT_STORE', 'CARPORT_TRUSTED_KEYS'])(
    'in %s is refused by that name, and not shown by `config show`',
    async (variable) => {
      for (const value of [key, ` ${key}\n`, `${key.slice(0, 40)}\n${key.slice(40)}`, encoded, `${key} ${key}`]) {
        const refused = await run(['store', 'ls', '-vv'], { [variable]: value });
        expect([refused.exitCode, refused.output]).toEqual([4, expect.stringContaining(`\`${variable}\` holds a key`)]);
        for (const more of MORE) {
          const { exitCode, output } = await run(['config', 'show', ...more], { [variable]: value });
          expect(exitCode).toBe(0);
          expect(output).toContain(`warning: \`${variable}\` holds a key itself`);
          expect(output).toContain('[secret key]');
        }
      }
    },
  );

  it('of which a part is where files of keys are named is refused, too', async () => {
    for (const value of [...Object.values(PARTS), secret.slice(0, 43)]) {
      const args = ['key', 'sign', 'x', '-vv'];
      const env = await run(args, { CARPORT_SECRET_KEY_FILES: value });
      const option = await run([...args, '--secret-key', value]);
      const url = await run(['push', 'x', '--to', `${home}/c?secret-key=${encodeURIComponent(value)}`]);
      expect([env.exitCode, option.exitCode, url.exitCode]).toEqual([4, 4, value.includes(':') ? 4 : url.exitCode]);
    }
  });
});

describe('another secret', () => {
  const geheim = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';

  it.each(['AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'GITHUB_TOKEN', 'GITEA_PASSWORD', 'CI_REGISTRY_PASSWORD'])(
    'of %s is in no output',
    async (variable) => {
      const env = { [variable]: geheim };
      for (const more of MORE) {
        for (const args of [
          ['hash', 'file', `./${geheim}`],
          ['push', geheim, '--to', './c'],
          ['cache', 'info', `s3://${geheim}`],
          ['cache', 'info', `s3://b?region=${encodeURIComponent(geheim)}&x=1`],
          ['config', 'show'],
        ]) {
          const { output } = await run([...args, ...more], { ...env, CARPORT_TITLE: `x ${geheim}` });
          expect(output).not.toContain(geheim);
          expect(output).not.toContain(encodeURIComponent(geheim));
        }
      }
    },
  );
});
