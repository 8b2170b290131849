import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { withLogo } from '#bin/index/page-settings.js';
import { createSetting } from '#bin/settings/setting.js';
import { useSandbox } from '../support/sandbox.js';

const box = useSandbox();

/** Whether a file of this text is a picture. */
async function isPicture(text: string): Promise<boolean> {
  const file = join(box().path('work'), 'logo');
  await writeFile(file, text);
  const { env } = box();
  const logo = createSetting('logo', [file], { kind: 'option', name: '--logo' });
  const context = { env, cwd: () => box().path('work') } as Parameters<typeof withLogo>[1];
  return withLogo({ logo }, context).then(
    () => true,
    (error: { readonly code?: string }) => {
      expect(error.code).toBe('E_USAGE');
      return false;
    },
  );
}

const SVG = '<svg xmlns="http://www.w3.org/2000/svg"></svg>';

it.each([
  SVG,
  `\u{feff}<?xml version="1.0"?>\n<!-- a --> <!-- <svg> -->\n<!DOCTYPE svg PUBLIC "a" "b">\n${SVG}\n`,
  `<!DOCTYPE svg [ <!ENTITY a "b"> ] >${SVG}`,
  '<svg:svg />\n',
  `${'<!---->'.repeat(5_000)}${' '.repeat(20_000)}${SVG}`,
])('takes a picture, whatever stands before it: %#', async (text) => {
  expect(await isPicture(text)).toBe(true);
});

// Each of these kept a regular expression busy that tried all ways to divide it.
it.each(['', '\t', ' \n', '<!---->', '<!-- -->', '<!---->\n', '<?xml?>', '<!DOCTYPE >', '<!DOCTYPE a>', '<!DOCTYPE ['])(
  'finds soon that much `%s` is no picture',
  async (part) => {
    const much = part.repeat(Math.floor(60_000 / Math.max(1, part.length)));
    for (const text of [
      much,
      `${much}x`,
      `${much}<svg`,
      `${much}<!DOCTYPE ${' '.repeat(2_000)}[`,
      `<!DOCTYPE${much}x`,
    ]) {
      expect(await isPicture(text)).toBe(false);
    }
    expect(await isPicture(`<svg>${much}</svg${' '.repeat(2_000)}x`)).toBe(false);
  },
);
