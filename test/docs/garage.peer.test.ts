import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { findFreePorts } from '#dev/free-ports.js';
import { findGarage } from '#dev/garage-program.js';
import { describeWithGarage } from '../support/garage.js';
import { codeBlocks, readDocument, TOP } from '../support/markdown.js';
import { nix } from '../support/nix.js';

const blocks = codeBlocks(readDocument('docs/garage.md')).filter(({ language }) => language === 'sh');

describeWithGarage('docs/garage.md', () => {
  let temporary: string;
  beforeAll(async () => {
    temporary = await mkdtemp(join(tmpdir(), 'carport-docs-garage-'));
  });
  afterAll(async () => {
    await execa('chmod', ['-R', 'u+rwX', temporary]);
    await rm(temporary, { recursive: true, force: true });
  });

  it('has commands that can be pasted', async () => {
    const output = await paste(temporary);
    expect(output).toContain('NO ROLE ASSIGNED');
    expect(output).toMatch(/here +93\.1 GiB/);
    expect(output).toMatch(/^RWO +GK\w+ +ci/m);
    expect(output).toContain('1 path: 0 already cached, 1 to upload');
    expect(output).toContain('1 path: 1 already cached, 0 to upload');
    expect(output.match(/1 path: 0 already here, 1 to fetch/g)).toHaveLength(2);
    expect(output).toContain('StoreDir: /nix/store');
    if (!('missing' in nix)) expect(output).toMatch(/copying path .* from 'http:\/\/localhost/);
    expect(output).not.toMatch(/^(error|warning)/im);
  });

  it('names the region and the version that Garage has here', async () => {
    const page = readDocument('docs/garage.md');
    expect(page).toContain('s3_region = "garage"');
    expect(page).toContain('cargo install garage --locked --version 2.5.0');
  });
});

/** Pastes the page into one shell, with the server in the background, elsewhere, and at other ports. */
async function paste(directory: string): Promise<string> {
  const found = await findGarage();
  if ('missing' in found) throw new Error(found.missing);
  const ports = await findFreePorts(3);
  // As root Nix would look for build users.
  await writeFile(join(directory, 'nix.conf'), 'build-users-group =\n');
  const elsewhere = (text: string) =>
    text
      .replaceAll('/etc/garage.toml', join(directory, 'garage.toml'))
      .replaceAll('/var/lib/garage', join(directory, 'data'))
      .replaceAll(/\b390([012])\b/g, (_, index) => String(ports[index]));
  const [configuration, ...rest] = blocks
    .map(({ text }) => elsewhere(text))
    .filter((text) => !('missing' in nix) || !text.startsWith('nix '));
  const script = [
    `carport() { node ${join(TOP, 'dist/bin/carport.js')} "$@"; }`,
    configuration,
    'garage server > garage.log 2>&1 & server=$!',
    "trap 'kill -KILL $server' EXIT",
    'for attempt in {1..900}; do garage status 2> status.log && break; sleep 0.1; done',
    ...rest,
  ];
  const { all } = await execa('bash', ['-euo', 'pipefail', '-c', script.join('\n')], {
    cwd: directory,
    env: {
      PATH: `${dirname(found.program)}:${process.env.PATH}`,
      HOME: directory,
      TMPDIR: directory,
      GARAGE_CONFIG_FILE: join(directory, 'garage.toml'),
      NIX_CONF_DIR: directory,
      NIX_USER_CONF_FILES: '',
    },
    extendEnv: false,
    all: true,
  });
  return all;
}
