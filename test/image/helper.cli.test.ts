import { existsSync } from 'node:fs';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { askHelper } from '#lib/oci/registry/helper.js';
import { useDirectory } from '../support/files.js';

const directory = useDirectory();
const left: number[] = [];

afterEach(() => {
  for (const pid of left.splice(0)) process.kill(pid, 'SIGKILL');
});

async function ask(script: string, timeLimit?: number) {
  const file = join(directory(), 'docker-credential-test');
  await writeFile(file, `#!/bin/sh\n${script}\n`);
  await chmod(file, 0o755);
  return askHelper('test', 'r.example.org', 'a file', { PATH: `${directory()}:${process.env.PATH}` }, timeLimit);
}

it('a helper that waits for ever is ended, also where another program holds its output', async () => {
  const pid = join(directory(), 'pid');
  const script = `sleep 1000 & echo $! > ${pid}.new; mv ${pid}.new ${pid}; wait`;
  // On a busy machine its time may be over before it has begun: then it gets more.
  for (let timeLimit = 2_000; !existsSync(pid); timeLimit *= 4) {
    await expect(ask(script, timeLimit)).rejects.toMatchObject({ code: 'E_CREDENTIALS' });
  }
  left.push(Number(await readFile(pid, 'utf8')));
  await expect(ask('yes')).rejects.toThrow('it printed too much');
}, 120_000);

it('a helper is told the server, and knows it or not', async () => {
  const login = await ask('read server; echo "{\\"Username\\":\\"$1\\",\\"Secret\\":\\"$server\\"}"');
  expect(login).toEqual({ kind: 'password', user: 'get', password: 'r.example.org' });
  expect(await ask('echo credentials not found in native keychain; exit 1')).toBeUndefined();
  await expect(ask('echo hidden-one; echo hidden-two >&2; exit 1')).rejects.toThrow(/gives no password .*: it failed$/);
});
