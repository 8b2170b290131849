import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { beforeEach, expect, it } from 'vitest';
import { signDrone } from '#release/ci/drone-signature.js';
import { readRequest, useHttpServers } from '../../support/http-server.js';
import { useSandbox } from '../../support/sandbox.js';

const SECRET = '589396227fff5a93ba934965e8735f88';
const TOKEN = 'token-of-somebody-0123456789';
const YAML = '# ü\nkind: pipeline\nname: default\r\n---\nkind: cron\n';

const box = useSandbox();
const serve = useHttpServers();
const file = () => box().path('work/.drone.yml');
const hmac = signDrone(Buffer.from(YAML).toString('latin1'), Buffer.from(SECRET));
const run = (args: readonly string[], env: Record<string, string> = {}, input = '') =>
  box().carport(['ci', 'sign', ...args, '--retry-seconds', '0'], { env, input });

beforeEach(() => writeFile(file(), YAML));

it('ci sign signs by the secret of the repository, and verifies', async () => {
  await writeFile(box().path('work/secret'), `${SECRET}\n`);
  const bySecret = ['--secret-file', 'secret'];
  expect(await run(bySecret)).toMatchObject({ exitCode: 0, stdout: `${hmac}\n` });
  expect(await run([], { CARPORT_DRONE_SECRET: SECRET })).toMatchObject({ stdout: `${hmac}\n` });
  expect(await run(['-'], { CARPORT_DRONE_SECRET: SECRET }, YAML)).toMatchObject({ stdout: `${hmac}\n` });
  expect(await run([...bySecret, '--verify'])).toMatchObject({
    exitCode: 6,
    stderr: expect.stringContaining('has no signature'),
  });
  await chmod(file(), 0o640);
  expect(JSON.parse((await run([...bySecret, '--write', '--dry-run', '--json'])).stdout)).toMatchObject({
    written: false,
    changes: true,
  });
  expect(await readFile(file(), 'utf8')).toBe(YAML);
  expect(await run([...bySecret, '--write'])).toMatchObject({ exitCode: 0, stdout: '' });
  const signed = await readFile(file(), 'utf8');
  expect(signed).toBe(`${YAML}---\nkind: signature\nhmac: ${hmac}\n\n...\n`);
  expect((await stat(file())).mode & 0o777).toBe(0o640);
  expect((await run([...bySecret, '--write'])).stderr).toContain('right already');
  expect(await run([...bySecret, '--verify'])).toMatchObject({ exitCode: 0 });
  await writeFile(file(), signed.replace('default', 'other'));
  const wrong = await run([...bySecret, '--verify']);
  expect(wrong).toMatchObject({ exitCode: 6, stderr: expect.stringContaining('not of what it says') });
  expect(wrong.stderr).not.toContain(SECRET);
  await writeFile(box().path('work/secret'), 'short');
  expect(await run(bySecret)).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('shorter than 32') });
  const none = await run(['none.yml', '--secret-file', 'none']);
  expect(none).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('ci sign FILE') });
});

it('ci sign has the server sign, as drone sign does', async () => {
  const asked: (string | undefined)[] = [];
  let status = 200;
  const drone: RequestListener = async (request, response) => {
    const { data } = JSON.parse((await readRequest(request)).toString()) as { data: string };
    asked.push(`${request.method} ${request.url} ${request.headers.authorization}`);
    const headers = { 'content-type': 'application/json', location: `${elsewhere.url.href}x` };
    response
      .writeHead(status, headers)
      .end(JSON.stringify({ data: signDrone(Buffer.from(data).toString('latin1'), Buffer.from(SECRET)) }));
  };
  const strangers: string[] = [];
  const elsewhere = await serve((request, response) => {
    strangers.push(request.url ?? '');
    response.writeHead(200).end('{"data":"no signature"}');
  });
  const { url } = await serve(drone);
  const env = { DRONE_SERVER: `${url.href}ci/`, DRONE_TOKEN: TOKEN, DRONE_REPO: 'acme/tool' };
  expect(await run([], env)).toMatchObject({ exitCode: 0, stdout: `${hmac}\n` });
  expect(asked[0]).toBe(`POST /ci/api/repos/acme/tool/sign Bearer ${TOKEN}`);
  expect(await run(['--write'], env)).toMatchObject({ exitCode: 0 });
  expect(await run(['--verify', '--repository', 'acme/tool'], env)).toMatchObject({ exitCode: 0 });
  expect(await run(['--verify'], { CARPORT_DRONE_SECRET: SECRET })).toMatchObject({ exitCode: 0 });
  for (const [code, exitCode] of [
    [401, 4],
    [404, 5],
    [307, 1],
  ] as const) {
    status = code;
    const ran = await run([], env);
    expect(ran.exitCode, String(code)).toBe(exitCode);
    expect(ran.stdout + ran.stderr).not.toContain(TOKEN);
  }
  // What is no UTF-8 would get to the server as other bytes.
  const before = asked.length;
  for (const bytes of [Buffer.from('name: \xfc\n', 'latin1'), Buffer.from('\u{feff}name: x\n', 'utf16le')]) {
    await writeFile(file(), bytes);
    expect(await run([], env)).toMatchObject({ exitCode: 6, stdout: '', stderr: expect.stringContaining('UTF-') });
  }
  expect(asked).toHaveLength(before);
  await writeFile(file(), YAML);
  expect(strangers).toEqual([]);
  expect(await run([], { ...env, DRONE_SERVER: elsewhere.url.href })).toMatchObject({ exitCode: 6 });
  expect(await run([], { ...env, DRONE_REPO: 'acme' })).toMatchObject({ exitCode: 2 });
  expect(await run([], { ...env, DRONE_SERVER: 'drone' })).toMatchObject({ exitCode: 2 });
  for (const [server, said] of [
    ['http://192.0.2.2/', 'without TLS'],
    ['https://:secret@drone.example.org/', 'a password in it'],
  ] as const) {
    const refused = await run([], { ...env, DRONE_SERVER: server });
    expect(refused, server).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(said) });
  }
  expect(await run([])).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('DRONE_TOKEN') });
});
