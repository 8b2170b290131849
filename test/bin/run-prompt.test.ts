import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { promptFor } from '#bin/run/prompt.js';
import { useSandbox } from '../support/sandbox.js';

const box = useSandbox();

it('the prompt of zsh has nothing of a name that it could run', async () => {
  const { env } = await promptFor('/bin/zsh', box().env);
  const text = await readFile(`${env.ZDOTDIR}/.zshrc`, 'utf8');
  const [, left = ''] = /CARPORT_SHELL\/\/(\[[^\]]+\])\/\}/.exec(text) ?? [];
  expect('a-1.2/b_c@d+e F$(touch x)`y`%?\\~'.replace(new RegExp(left, 'g'), '')).toBe('a-1.2/b_c@d+e Ftouch xy');
});
