/** A Garage with a public bucket in one command: `npm run dev:garage`. */

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Garage, startGarage } from './garage.js';
import { findGarage, howToInstallGarage } from './garage-program.js';

const HELP = `Usage: npm run dev:garage -- [options]

Runs a Garage on this machine with a bucket that everybody can read, until Ctrl-C. Prints what to paste to use it.

Options:
  --nodes 1|3   how many nodes; three keep three copies (default: 1)
  --keep DIR    keep data, keys and ports in DIR for the next time (default: all is removed at the end)
  --help        print this
`;

const BUCKET = 'nix';

/** The program of this checkout, where npm runs its scripts. */
const CARPORT = join(process.cwd(), 'dist/bin/carport.js');

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  if (typeof options === 'string') return fail(2, `${options}; \`npm run dev:garage -- --help\` has them all`);
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const found = await findGarage();
  if ('missing' in found) return fail(1, `${found.missing}\nhint: ${howToInstallGarage()}`);
  const interrupt = listenForInterrupt();
  try {
    const garage = await startGarage({ ...options, bucket: BUCKET });
    try {
      await garage.allowWebsite(BUCKET, { alias: 'localhost' });
      process.stdout.write(describeGarage(garage, options.directory !== undefined));
      await untilAborted(interrupt);
    } finally {
      await garage.stop();
    }
  } catch (error) {
    return fail(1, (error as Error).message);
  }
  return 0;
}

interface Options {
  readonly nodes?: 1 | 3;
  readonly directory?: string;
  readonly help: boolean;
}

/** The options, or what is wrong with them. */
function readOptions(args: readonly string[]): Options | string {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { nodes: { type: 'string' }, keep: { type: 'string' }, help: { type: 'boolean', default: false } },
    });
    const { nodes, keep, help } = values;
    if (nodes !== undefined && nodes !== '1' && nodes !== '3') return `--nodes is 1 or 3, not ${nodes}`;
    return {
      help,
      ...(nodes !== undefined && { nodes: nodes === '3' ? 3 : 1 }),
      ...(keep !== undefined && { directory: keep }),
    };
  } catch (error) {
    return (error as Error).message;
  }
}

function describeGarage({ nodes, region, credentials, directory }: Garage, kept: boolean): string {
  const [first] = nodes;
  const cache = `'s3://${BUCKET}?endpoint=${first!.s3Endpoint}&region=${region}'`;
  const website = `http://localhost:${first!.websitePort}`;
  const endpoints = nodes.map(({ s3Endpoint }) => s3Endpoint).join(' ');
  return `Garage runs until Ctrl-C. S3: ${endpoints}; website: ${website}
Its data are in ${directory}${kept ? '' : ', and are removed at the end'}.

To write, in another terminal:

carport() { node '${CARPORT}' "$@"; }
export AWS_ACCESS_KEY_ID=${credentials.accessKeyId} AWS_SECRET_ACCESS_KEY=${credentials.secretAccessKey} AWS_EC2_METADATA_DISABLED=true
carport key generate dev-1 --out cache.sec > cache.pub
carport cache init ${cache} --secret-key cache.sec
carport push ./result --to ${cache} --secret-key cache.sec

To read, without credentials:

carport pull "$(readlink ./result)" --from ${website} --trusted-key "$(cat cache.pub)" --store ./other

For Nix, in nix.conf:

extra-substituters = ${website}
extra-trusted-public-keys = <the line in cache.pub>
`;
}

/** Once: a second Ctrl-C ends the process at once. */
function listenForInterrupt(): AbortSignal {
  const interrupt = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => interrupt.abort());
  return interrupt.signal;
}

/** Keeps the process alive meanwhile, which handlers of signals do not. */
async function untilAborted(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) await sleep(2 ** 30, undefined, { signal }).catch(() => {});
}

function fail(exitCode: number, message: string): number {
  process.stderr.write(`error: ${message}\n`);
  return exitCode;
}
