import { execa } from 'execa';
import { expect, it } from 'vitest';
import { codeBlocks, readDocument } from '../support/markdown.js';
import { describeWithPeer } from '../support/peers.js';
import { CARPORT, useSandbox } from '../support/sandbox.js';

const minisign = await execa('which', ['minisign'], { reject: false });

describeWithPeer(minisign.failed ? 'minisign is missing' : undefined, 'docs/minisign.md', () => {
  const box = useSandbox();

  it('has lines that can be pasted, and that refuse a file that was changed', async () => {
    const [make, check] = codeBlocks(readDocument('docs/minisign.md')).map(({ text }) => text);
    const paste = (text: string) =>
      execa('bash', ['-euc', `carport() { "${process.execPath}" "${CARPORT}" "$@"; }\n${text}`], {
        ...{ cwd: box().path('work'), reject: false, extendEnv: false },
        env: { ...box().env, PATH: process.env.PATH! },
      });
    expect(await paste(make!)).toMatchObject({ exitCode: 0, stdout: 'app-1.0.tar.minisig' });
    const checked = await paste(check!);
    expect(checked.exitCode, checked.stderr).toBe(0);
    const [first, second] = check!.trim().split('\n') as [string, string];
    await paste('echo more >> app-1.0.tar');
    expect((await paste(first)).exitCode).not.toBe(0);
    expect((await paste(second)).exitCode).toBe(6);
  });
});
