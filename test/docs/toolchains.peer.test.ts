import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createDeveloper } from '../support/developer.js';
import { codeBlocks, readDocument, TOP } from '../support/markdown.js';
import { createNixStore, describeWithNix, type NixStore } from '../support/nix.js';
import { describeWithProgram, missingProgram } from '../support/programs.js';
import { CARPORT, useSandbox } from '../support/sandbox.js';

const blocks = codeBlocks(readDocument('docs/toolchains.md')).filter(({ language }) => language === 'sh');
const withNix = blocks.filter(({ heading }) => heading === 'With Nix');
const withoutNix = blocks.filter((block) => !withNix.includes(block));

describeWithProgram('bwrap', 'docs/toolchains.md on a machine without Nix', () => {
  const box = useSandbox();

  it('has commands that can be pasted', async () => {
    const programs = ['chmod', 'mkdir', 'rm'];
    const machine = await createDeveloper(box(), 'newcomer', { programs });
    const script = `set -eu\nexec 2>&1\n${withoutNix.map(({ text }) => text).join('')}`;
    const output = await machine.succeed(script);
    expect(output.match(/^hello, world$/gm)).toHaveLength(4);
    expect(output.match(/^hello again$/gm)).toHaveLength(1);
    expect(output).toContain('2 paths: 0 already cached, 2 to upload');
    expect(output).toMatch(/^toolchain@\S+ {2}\S+ {2}good {2}\/nix\/store\/[0-9a-z]{32}-greeting-tool-1$/m);
    expect(output).toMatch(/^pin +toolchain@previous -> \S+-greeting-tool-1$/m);
    expect(output).toMatch(/^link +\S+\/toolchain -> \S+-greeting-tool-1$/m);
    expect(output).toMatch(/^2 paths, \S+ B freed$/m);
    expect(output).not.toMatch(/^(error|warning)/im);
  });
});

describeWithNix(
  'docs/toolchains.md with Nix',
  () => {
    const box = useSandbox('all');
    let nix: NixStore;
    beforeAll(async () => {
      nix = await createNixStore();
    });
    afterAll(() => nix.remove());

    it('has commands that can be pasted', async () => {
      await mkdir(box().path('programs'));
      await writeFile(box().path('programs/carport'), `#!/bin/sh\nexec ${process.execPath} ${CARPORT} "$@"\n`);
      await chmod(box().path('programs/carport'), 0o755);
      const chosen = blocks.filter(({ heading }) => ['Publish', 'Use', 'With Nix'].includes(heading));
      const { all } = await execa('bash', ['-euo', 'pipefail', '-c', chosen.map(({ text }) => text).join('')], {
        cwd: box().path('work'),
        env: {
          ...{ ...nix.env, HOME: box().path('home'), TMPDIR: box().path('tmp') },
          PATH: `${box().path('programs')}:${process.env.PATH}`,
          NIX_PATH: `nixpkgs=${join(TOP, 'test/scenarios/toolchain/nixpkgs')}`,
        },
        extendEnv: false,
        all: true,
      });
      expect(all.match(/^hello, world$/gm)).toHaveLength(2);
      expect(all).toMatch(/^hello from C$/m);
      expect(all).toMatch(/: \d+ already cached, 0 to upload /m);
      expect(all).not.toMatch(/^(error|warning):/im);
      expect(await nix.run('nix-store', ['--verify', '--check-contents'])).toBe('');
    });
  },
  missingProgram('gcc', 'bwrap'),
);
