/** The commands of `derivation`. */

import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Command } from 'commander';
import { mapAtMost } from '../../lib/concurrency.js';
import { CarportError, isErrno } from '../../lib/errors.js';
import { parseDerivation, printDerivation } from '../../lib/nix/derivation/aterm.js';
import { type Derivation, derivationName } from '../../lib/nix/derivation/derivation.js';
import { derivationToJson, derivationToJson4 } from '../../lib/nix/derivation/json.js';
import { createOutputPaths, derivationPath } from '../../lib/nix/derivation/modulo.js';
import {
  baseNameOf,
  DEFAULT_STORE_DIR,
  isStoreBaseName,
  nameOf,
  outputName,
  storeDirOf,
} from '../../lib/nix/store-path.js';
import { type Context, write } from '../cli/context.js';
import { argument } from '../declaration/arguments.js';
import { declareCommand } from '../declaration/command.js';
import { flag, type OptionsOf, option } from '../declaration/options.js';

const OPTIONS = [
  flag('--outputs', "compute the outputs' paths from the inputs beside the file, and compare"),
  option('--format <number>', 'the JSON of `nix show-derivation` (2.8), or format 4 of `nix derivation show` (2.34)', {
    choices: ['2.8', '4'],
    default: '2.8',
  }),
  flag('--aterm', 'print the canonical text of the files instead of JSON'),
];

/** A `.drv` file that was read. */
interface DerivationFile {
  readonly file: string;
  /** Its store path, computed from its bytes. */
  readonly path: string;
  readonly derivation: Derivation;
}

/** More open files than this may be more than the system allows. */
const FILES_AT_ONCE = 64;

export function configure(command: Command, context: Context): void {
  command.description('Derivations: the recipes of builds.');
  declareCommand(command.command('show'), context, {
    description:
      'Prints derivations as JSON by store path, in the form of Nix 2.8, `nix show-derivation`, or that of 2.34 with `--format 4`. The store path is computed from the file.',
    examples: ['carport derivation show /nix/store/HASH-hello.drv', 'carport derivation show ./*.drv --outputs'],
    arguments: [argument('<file...>', '`.drv` files')],
    options: OPTIONS,
    run: (files, options) => show(files, options, context),
  });
}

async function show(files: readonly string[], options: OptionsOf<typeof OPTIONS>, context: Context): Promise<void> {
  const read = await mapAtMost(FILES_AT_ONCE, files, (file) => readDerivationFile(file));
  const mismatches = read.flatMap(pathMismatch);
  if (options.aterm) {
    await writeBytes(context, read.map(({ derivation }) => printDerivation(derivation)).join(''));
  } else {
    const computed = options.outputs ? await computeOutputs(read) : read;
    for (const [index, { derivation }] of computed.entries()) {
      mismatches.push(...outputMismatches(read[index]!, derivation));
    }
    const json = options.format === '4' ? inFormat4(computed) : inFormatOf28(computed);
    await writeBytes(context, `${JSON.stringify(json, undefined, 2)}\n`);
  }
  if (mismatches.length === 0) return;
  throw new CarportError('E_INTEGRITY', 'a store path is not what the derivation gives', {
    cause: new Error(mismatches.join('\n  and ')),
  });
}

function inFormatOf28(files: readonly DerivationFile[]): Record<string, unknown> {
  return Object.fromEntries(files.map(({ path, derivation }) => [path, derivationToJson(derivation)]));
}

function inFormat4(files: readonly DerivationFile[]): Record<string, unknown> {
  const derivations = files.map(({ path, derivation }) => [baseNameOf(path), derivationToJson4(path, derivation)]);
  return { derivations: Object.fromEntries(derivations), version: 4 };
}

/** Derivations are kept one character a byte, also in their JSON. */
function writeBytes(context: Context, text: string): Promise<void> {
  return write(context.stdout, Buffer.from(text, 'latin1'));
}

async function readDerivationFile(file: string): Promise<DerivationFile> {
  const text = await readFile(file, 'latin1');
  try {
    const derivation = parseDerivation(text);
    return { file, path: derivationPath(nameFor(file, derivation), derivation, storeDirFor(derivation)), derivation };
  } catch (cause) {
    throw new CarportError('E_FORMAT', `\`${file}\` is not a derivation`, { cause });
  }
}

/** The name is not in the text for sure: the file's name has it, else the environment, else an output's path. */
function nameFor(file: string, derivation: Derivation): string {
  const fileName = basename(file);
  if (isStoreBaseName(fileName)) return derivationName(fileName);
  const [output, { path }] = [...derivation.outputs][0]!;
  const suffix = outputName('', output);
  return (
    derivation.env.get('name') ??
    (path && nameOf(path).slice(0, -suffix.length || undefined)) ??
    fileName.replace(/\.drv$/, '')
  );
}

function storeDirFor(derivation: Derivation): string {
  const paths = [...derivation.outputs.values()].map(({ path }) => path);
  const known = [...paths, ...derivation.inputDerivations.keys(), ...derivation.inputSources].find(
    (path) => path !== '',
  );
  return known === undefined ? DEFAULT_STORE_DIR : storeDirOf(known);
}

function pathMismatch({ file, path }: DerivationFile): readonly string[] {
  const fileName = basename(file);
  if (!isStoreBaseName(fileName) || fileName === baseNameOf(path)) return [];
  return [`\`${fileName}\` should be \`${baseNameOf(path)}\``];
}

/** Computes the outputs of each; inputs beside several files are read once. */
async function computeOutputs(files: readonly DerivationFile[]): Promise<readonly DerivationFile[]> {
  const computations = new Map<string, ReturnType<typeof createOutputPaths>>();
  const computed: DerivationFile[] = [];
  for (const { file, path, derivation } of files) {
    const [directory, storeDir] = [dirname(file), storeDirFor(derivation)];
    const key = `${directory}\n${storeDir}`;
    const outputPaths = computations.get(key) ?? createOutputPaths((input) => readInput(directory, input), storeDir);
    computations.set(key, outputPaths);
    const paths = await outputPaths(path, derivation);
    const outputs = [...derivation.outputs].map(
      ([name, output]) => [name, { ...output, path: paths.get(name) ?? '' }] as const,
    );
    computed.push({ file, path, derivation: { ...derivation, outputs: new Map(outputs) } });
  }
  return computed;
}

async function readInput(directory: string, drvPath: string): Promise<Derivation | undefined> {
  try {
    return parseDerivation(await readFile(join(directory, baseNameOf(drvPath)), 'latin1'));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function outputMismatches({ file, derivation }: DerivationFile, computed: Derivation): readonly string[] {
  return [...derivation.outputs].flatMap(([name, { path }]) => {
    const other = computed.outputs.get(name)!.path;
    return other === path ? [] : [`output \`${name}\` of \`${file}\` is \`${path}\`, computed is \`${other}\``];
  });
}
