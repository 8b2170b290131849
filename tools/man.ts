/** Writes the pages of the manual into a directory, which are made of the help of the commands: `npm run build` makes `man`. */

import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { EXIT_CODES } from '../bin/cli/exit-code.js';
import { COMMAND_GROUPS } from '../bin/commands.js';
import { commandPath, helpDetailsOf } from '../bin/help/command-help.js';
import { readVersion } from '../bin/help/quick.js';
import { createWholeProgram } from '../bin/program.js';

/** Of the pages, which are the same whenever they are made. */
const DATE = '2026-11-28';

/** What roff would take for its own. */
const SIGNS: Readonly<Record<string, string>> = {
  '\\': '\\(rs',
  '-': '\\-',
  "'": '\\(aq',
  '`': '\\(ga',
  '^': '\\(ha',
  '~': '\\(ti',
  '"': '\\(dq',
};

const [directory = 'man'] = process.argv.slice(2);
const { env, stdin, stdout, stderr } = process;
const program = await createWholeProgram({ env, stdin, stdout, stderr, cwd: () => '.' });
const version = await readVersion();

await mkdir(directory, { recursive: true });
const old = (await readdir(directory)).filter((name) => name.endsWith('.1'));
await Promise.all(old.map((name) => rm(join(directory, name))));
await writeFile(join(directory, 'carport.1'), rootPage());
for (const command of program.commands.flatMap(withChildren)) {
  await writeFile(join(directory, `${pageName(command)}.1`), page(command));
}

function withChildren(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(withChildren)];
}

function pageName(command: Command): string {
  return commandPath(command).replaceAll(' ', '-');
}

function rootPage(): string {
  const groups = Object.entries(COMMAND_GROUPS).flatMap(([title, entries]) => [
    `.SS ${roff(title)}`,
    ...entries.flatMap(({ name, summary }) => tagged(`${roff(`carport-${name}`, 'B')}(1)`, summary)),
  ]);
  return lines([
    ...header('carport', 'brings what a build produced to the people who need it'),
    '.SH SYNOPSIS',
    `${roff('carport', 'B')} ${roff('COMMAND', 'I')} [${roff('OPTIONS', 'I')}]`,
    '.SH DESCRIPTION',
    roff('carport brings what a build produced, whole and verifiable, to the people who need it.'),
    '.SH COMMANDS',
    ...groups,
    ...exitStatus([]),
  ]);
}

function page(command: Command): string {
  const help = command.createHelp();
  const description = command.description();
  const { examples, runsProgram } = helpDetailsOf(command);
  const args = help.visibleArguments(command).filter(({ description }) => description !== '');
  const options = help.visibleOptions(command);
  const children = command.commands.filter((child) => child.name() !== 'help');
  return lines([
    ...header(pageName(command), firstWords(description)),
    '.SH SYNOPSIS',
    `${roff(commandPath(command), 'B')} ${roff(command.usage())}`,
    '.SH DESCRIPTION',
    roff(description),
    ...(children.length > 0 ? ['.SH COMMANDS'] : []),
    ...children.flatMap((child) => tagged(`${roff(pageName(child), 'B')}(1)`, child.description())),
    ...(args.length > 0 ? ['.SH ARGUMENTS'] : []),
    ...args.flatMap((arg) => tagged(roff(help.argumentTerm(arg), 'I'), help.argumentDescription(arg))),
    ...(options.length > 0 ? ['.SH OPTIONS'] : []),
    ...options.flatMap((option) => tagged(roff(help.optionTerm(option), 'B'), help.optionDescription(option))),
    ...(examples.length > 0 ? ['.SH EXAMPLES'] : []),
    ...examples.flatMap((example, at) => [...(at > 0 ? ['.PP'] : []), '.nf', roff(example), '.fi']),
    ...exitStatus(runsProgram ? ["the command's own, or 128 and the number of its signal; else carport's:"] : []),
    '.SH SEE ALSO',
    seeAlso(command),
  ]);
}

function header(name: string, summary: string): readonly string[] {
  return [
    `.TH ${roff(name.toUpperCase())} 1 ${DATE} "carport ${version}" "Manual of carport"`,
    '.SH NAME',
    `${roff(name)} \\- ${roff(summary)}`,
  ];
}

/** The first sentence, as the line of a page's name has it. */
function firstWords(text: string): string {
  const first = text.replace(/[.:;](?: .*)?$/s, '');
  return first.charAt(0).toLowerCase() + first.slice(1);
}

function exitStatus(before: readonly string[]): readonly string[] {
  return [
    '.SH EXIT STATUS',
    ...before.flatMap((text) => tagged('N', text)),
    ...Object.entries(EXIT_CODES).flatMap(([code, text]) => tagged(code, text)),
  ];
}

function seeAlso(command: Command): string {
  const parent = command.parent ?? command;
  const siblings = parent.commands.filter((each) => each !== command && each.name() !== 'help');
  const related = parent === program ? [] : siblings;
  return [parent, ...related].map((each) => `${roff(pageName(each), 'B')}(1)`).join(',\n');
}

function tagged(term: string, text: string): readonly string[] {
  return ['.TP', term, roff(text === '' ? '-' : text)];
}

/** Text that means nothing to roff; in bold or italic letters. */
function roff(text: string, font?: 'B' | 'I'): string {
  const safe = [...text.replace(/\s+/g, ' ')]
    .map((sign) => SIGNS[sign] ?? (sign > '~' ? unicode(sign) : sign))
    .join('');
  const guarded = /^[.']/.test(safe) ? `\\&${safe}` : safe;
  return font === undefined ? guarded : `\\f${font}${guarded}\\fR`;
}

function unicode(sign: string): string {
  return `\\[u${sign.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}]`;
}

function lines(all: readonly string[]): string {
  return `${all.join('\n')}\n`;
}
