/**
 * Real servers for the scenarios in `test/scenarios`: `node dist/dev/serve-parts.js FILE PART…`, where a part is
 * `garage=BUCKET,BUCKET…`, `gitea`, `pypi`, `registry` or `registry=VARIABLE`. When all of them answer, their addresses are in
 * FILE as lines that `sh` reads. It ends, and they with it, when its standard input does.
 */

import { once } from 'node:events';
import { rename, writeFile } from 'node:fs/promises';
import { startGarage } from './garage.js';
import { startGitea } from './gitea.js';
import { startPypiServer } from './pypi-server.js';
import { startRegistry } from './registry.js';

interface Part {
  /** Variables of the shell that say where it is. */
  readonly variables: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

const [file, ...names] = process.argv.slice(2);
process.exitCode = await main(file, names);

async function main(to: string | undefined, wanted: readonly string[]): Promise<number> {
  if (to === undefined || wanted.length === 0) {
    process.stderr.write('usage: node dist/dev/serve-parts.js FILE PART…\n');
    return 2;
  }
  const ended = once(process.stdin.resume(), 'close');
  const started = await Promise.allSettled(wanted.map(startPart));
  const parts = started.flatMap((part) => (part.status === 'fulfilled' ? [part.value] : []));
  const failures = started.flatMap((part) => (part.status === 'rejected' ? [(part.reason as Error).message] : []));
  if (failures.length === 0) {
    const lines = parts.flatMap(({ variables }) => Object.entries(variables).map(renderVariable));
    // Whoever waits for the file finds all of it.
    await writeFile(`${to}.new`, lines.join(''), { mode: 0o600 });
    await rename(`${to}.new`, to);
    await ended;
  }
  for (const failure of failures) process.stderr.write(`error: ${failure}\n`);
  await Promise.all(parts.map((part) => part.stop()));
  return failures.length === 0 ? 0 : 1;
}

function renderVariable([name, value]: readonly [string, string]): string {
  return `${name}='${value}'\n`;
}

function startPart(wanted: string): Promise<Part> {
  const [kind, value = ''] = wanted.split('=');
  if (kind === 'garage' && value !== '') return garagePart(value.split(','));
  if (kind === 'gitea') return giteaPart();
  if (kind === 'pypi') return pypiPart();
  if (kind === 'registry') return registryPart(value || 'REGISTRY');
  throw new Error(`there is no part ${wanted}`);
}

/** One node; all buckets have a website, the first one also at the address that is given. */
async function garagePart(buckets: readonly string[]): Promise<Part> {
  const garage = await startGarage({ bucket: buckets[0]! });
  for (const bucket of buckets.slice(1)) await garage.createBucket(bucket);
  for (const bucket of buckets) await garage.allowWebsite(bucket);
  await garage.allowWebsite(buckets[0]!, { alias: 'localhost' });
  const [node] = garage.nodes;
  return {
    variables: {
      GARAGE_ENDPOINT: node!.s3Endpoint,
      GARAGE_REGION: garage.region,
      GARAGE_WEBSITE: `http://localhost:${node!.websitePort}`,
      GARAGE_WEBSITE_PORT: `${node!.websitePort}`,
      AWS_ACCESS_KEY_ID: garage.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: garage.credentials.secretAccessKey,
    },
    stop: () => garage.stop(),
  };
}

async function registryPart(variable: string): Promise<Part> {
  const registry = await startRegistry();
  return { variables: { [variable]: registry.host }, stop: () => registry.close() };
}

async function giteaPart(): Promise<Part> {
  const gitea = await startGitea();
  return { variables: { GITEA: gitea.url, GITEA_TOKEN: gitea.token }, stop: () => gitea.close() };
}

/** An index of Python packages, and who may upload there. */
async function pypiPart(): Promise<Part> {
  const password = 'not-guessed-1';
  const pypi = await startPypiServer('dev', password);
  return {
    variables: { PYPI: pypi.url, TWINE_USERNAME: 'dev', TWINE_PASSWORD: password },
    stop: () => pypi.close(),
  };
}
