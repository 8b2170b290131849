/** Options that say how an image is run. */

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunSettings } from '../../image/config.js';
import { CarportError } from '../../lib/errors.js';
import type { ContentOptions } from './command.js';
import type { ImageContents } from './contents.js';

/** What options say of how the image is run. A program without a `/` is one of the store paths that were named. */
export async function runSettingsOf(options: ContentOptions, contents: ImageContents): Promise<RunSettings> {
  const { entrypoint, cmd, env = [], user, workdir, label = [] } = options;
  const program = entrypoint && wordsOf(entrypoint, '--entrypoint');
  const rest = cmd && wordsOf(cmd, '--cmd');
  for (const pair of env) checkPair(pair, '--env');
  for (const pair of label) checkPair(pair, '--label');
  if (workdir !== undefined && !workdir.startsWith('/'))
    throw wrong(`\`${workdir}\` (--workdir) does not begin with \`/\``);
  return {
    ...(program && { entrypoint: await withProgram(program, contents) }),
    ...(rest && { cmd: program ? rest : await withProgram(rest, contents) }),
    ...{ env, labels: label },
    ...(user !== undefined && { user }),
    ...(workdir !== undefined && { workdir }),
  };
}

/** Each text is a word, or a JSON list of words. */
function wordsOf(texts: readonly string[], option: string): readonly string[] {
  return texts.flatMap((text) => {
    if (!text.startsWith('[')) return [text];
    const list = parseList(text);
    if (list) return list;
    throw wrong(`\`${text}\` (${option}) is no JSON list of texts`);
  });
}

function parseList(text: string): readonly string[] | undefined {
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) && list.every((each) => typeof each === 'string') ? list : undefined;
  } catch {
    return undefined;
  }
}

/** Finds the program in `bin` of the roots: their hashes are not known before they are built. */
async function withProgram(words: readonly string[], { roots, realPath }: ImageContents): Promise<readonly string[]> {
  const [program = '', ...more] = words;
  if (program === '' || program.includes('/')) return words;
  for (const path of roots) {
    const stats = await stat(join(realPath({ path }), 'bin', program)).catch(() => undefined);
    if (stats?.isFile()) return [`${path}/bin/${program}`, ...more];
  }
  return words;
}

function checkPair(pair: string, option: string): void {
  if (!/^[^=\0]+=[^\0]*$/.test(pair)) throw wrong(`\`${pair.split('=')[0]}\` (${option}) is no pair \`NAME=VALUE\``);
}

function wrong(message: string): CarportError {
  return new CarportError('E_USAGE', message, { hint: '`carport image build --help` shows how it is used' });
}
