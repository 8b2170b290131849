/**
 * The main job from end to end, as `npm run demo` shows it: no Nix, no server, nothing outside a temporary directory.
 */

import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { Context } from '../bin/cli/context.js';
import { runCommandLine } from '../bin/program.js';

const directory = await mkdtemp(join(tmpdir(), 'carport-demo-'));
process.chdir(directory);
const cacheUrl = `file://${join(directory, 'cache')}`;

title(`carport's demo, in ${directory}`);

title('A key to sign with');
const publicKey = await carport(['key', 'generate', 'demo-1', '--out', 'demo.sec']);

title('Two build outputs; the second refers to the first');
await mkdir('build');
await writeFile('build/greeting', 'Hello from a store path.\n');
const greeting = await carport(['store', 'add', 'build/greeting', '--name', 'greeting', '--store', 'store']);
await mkdir('build/hello/bin', { recursive: true });
await writeFile('build/hello/bin/hello', `#!/bin/sh\ncat ${greeting}\n`, { mode: 0o755 });
const hello = await carport(['store', 'add', 'build/hello', '--name', 'hello-1.0', '--store', 'store']);

title('Its closure');
await carport(['closure', hello, '--tree', '--store', 'store']);

title('Pushed to a binary cache, signed, and given a name');
await carport(['push', hello, '--pin', 'hello', '--to', cacheUrl, '--secret-key', 'demo.sec', '--store', 'store']);

title('Pulled by that name into an empty store, and verified');
const pullFrom = ['--from', cacheUrl, '--trusted-key', publicKey];
await carport(['pull', 'hello', ...pullFrom, '--store', 'other-store', '--out-link', 'result']);
await carport(['store', 'verify', '--store', 'other-store']);

title('What a tampered NAR gets: nothing of it is kept');
await tamper(greeting);
await carport(['pull', hello, ...pullFrom, '--store', 'third-store'], 6);
await carport(['store', 'ls', '--store', 'third-store']);

title(`Done. Everything is in ${directory}; remove it with: chmod -R u+w ${directory} && rm -r ${directory}`);

/** Runs a command as a user would see it, and returns what it printed on stdout. */
async function carport(args: readonly string[], expected = 0): Promise<string> {
  process.stdout.write(`$ carport ${args.map(quote).join(' ')}\n`);
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const printed = text(stdout);
  for (const stream of [stdout, stderr]) stream.pipe(process.stdout, { end: false });
  const home = { HOME: directory, XDG_DATA_HOME: join(directory, 'data'), XDG_CONFIG_HOME: join(directory, 'config') };
  const env = { PATH: process.env.PATH, ...home, CARPORT_PROGRESS: 'none' };
  const stdin = new PassThrough().end();
  const context: Context = { env, stdin, stdout, stderr, cwd: () => directory };
  const exitCode = await runCommandLine(args, context);
  stdout.end();
  stderr.end();
  const out = await printed;
  if (exitCode !== 0) process.stdout.write(`(exit code ${exitCode})\n`);
  if (exitCode !== expected) throw new Error(`the command should have ended with exit code ${expected}`);
  return out.trim();
}

/** Changes one byte in the middle of a cached NAR. */
async function tamper(path: string): Promise<void> {
  const hashPart = path.slice('/nix/store/'.length).split('-')[0];
  const narInfo = await readFile(`cache/${hashPart}.narinfo`, 'utf8');
  const nar = `cache/${/^URL: (.*)$/m.exec(narInfo)?.[1]}`;
  const bytes = await readFile(nar);
  const middle = Math.floor(bytes.length / 2);
  bytes[middle] = bytes[middle]! ^ 1;
  await writeFile(nar, bytes);
  process.stdout.write(`(flipped one bit of ${nar})\n`);
}

function title(words: string): void {
  process.stdout.write(`\n== ${words}\n\n`);
}

function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`;
}
