/**
 * carport beside its peers, on one Garage of this machine: `npm run bench`. Each line is one run of both; only the
 * ratio means something. Needs Nix; what rclone would take is left out where there is none.
 */

import { access, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { startGarage } from '../dev/garage.js';
import { type BenchClosure, buildMany, buildToolchain } from './closures.js';

const CARPORT = fileURLToPath(new URL('../bin/carport.js', import.meta.url));

interface Row {
  readonly job: string;
  readonly carport: number;
  readonly peer: string;
  readonly peerSeconds: number;
}

const directory = await mkdtemp(join(tmpdir(), 'carport-bench-'));
const garage = await startGarage();
const rows: Row[] = [];
try {
  await prepareNix();
  const { publicKey, keyFile } = await makeKey();
  for (const closure of [await buildToolchain(directory), await buildMany(directory)]) {
    await measure(closure, keyFile, publicKey);
  }
} finally {
  await garage.stop();
  await execa('chmod', ['-R', 'u+w', directory], { reject: false });
  await rm(directory, { recursive: true, force: true });
}
print();

async function measure({ title, root }: BenchClosure, keyFile: string, publicKey: string): Promise<void> {
  const bucket = `bench-${title}`;
  const [node] = garage.nodes;
  const to = `s3://${bucket}?endpoint=${node!.s3Endpoint}&region=${garage.region}`;
  await garage.createBucket(bucket);
  await carport(['cache', 'init', to]);
  await garage.createBucket(`${bucket}-peer`);
  await garage.allowWebsite(bucket, { alias: 'localhost' });
  const web = `http://localhost:${node!.websitePort}`;
  const push = ['push', root, '--to', to, '--secret-key', keyFile, '--store', 'nix'];

  // The peer's way to the same place: a cache of files, then the files to the bucket.
  const files = join(directory, `${title}-files`);
  const copied = await seconds(() =>
    nix(['copy', root, '--to', `file://${files}?compression=zstd&secret-key=${keyFile}`]),
  );
  const carried = (await hasProgram('rclone')) ? await seconds(() => rclone(files, `${bucket}-peer`)) : 0;
  const way = carried > 0 ? 'nix copy to files, rclone' : 'nix copy to files';
  rows.push({
    job: `push ${title}`,
    carport: await seconds(() => carport(push)),
    peer: way,
    peerSeconds: copied + carried,
  });
  if (carried > 0) {
    const again = await seconds(() => rclone(files, `${bucket}-peer`));
    rows.push({
      job: `push ${title} again`,
      carport: await seconds(() => carport(push)),
      peer: 'rclone',
      peerSeconds: again,
    });
  }
  const pull = (from: string, name: string) => () =>
    carport(['pull', root, '--from', from, '--trusted-key', publicKey, '--store', join(directory, `${title}-${name}`)]);
  const peerRoot = join(directory, `${title}-nix`);
  const peer = await seconds(() =>
    nix(['copy', root, '--from', web, '--to', peerRoot, '--option', 'trusted-public-keys', publicKey]),
  );
  rows.push({
    job: `pull ${title}, website`,
    carport: await seconds(pull(web, 'web')),
    peer: 'nix copy',
    peerSeconds: peer,
  });
  rows.push({
    job: `pull ${title}, S3`,
    carport: await seconds(pull(to, 's3')),
    peer: 'nix copy, website',
    peerSeconds: peer,
  });
}

function print(): void {
  const lines = rows.map(({ job, carport: own, peer, peerSeconds }) =>
    [job, own.toFixed(2), `${peerSeconds.toFixed(2)} (${peer})`, (peerSeconds / own).toFixed(1)].join(' | '),
  );
  console.log(
    ['job | carport, s | peer, s | times faster', '--- | --- | --- | ---', ...lines]
      .map((line) => `| ${line} |`)
      .join('\n'),
  );
}

async function makeKey() {
  const keyFile = join(directory, 'bench.sec');
  const publicKey = (await carport(['key', 'generate', 'bench-1', '--out', keyFile])).trim();
  return { keyFile, publicKey };
}

/** As root Nix would look for build users, and no sandbox is to be had everywhere. */
async function prepareNix(): Promise<void> {
  const conf = join(directory, 'nix-conf');
  await mkdir(conf);
  await writeFile(
    join(conf, 'nix.conf'),
    'sandbox = false\nbuild-users-group =\nsubstituters =\nexperimental-features = nix-command\n',
  );
  process.env.NIX_CONF_DIR = conf;
  // Else Nix knows from the last run what a cache has.
  process.env.XDG_CACHE_HOME = join(directory, 'cache');
}

async function carport(args: readonly string[]): Promise<string> {
  const { accessKeyId, secretAccessKey } = garage.credentials;
  const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, CARPORT_PROGRESS: 'none' };
  return (await execa(process.execPath, [CARPORT, ...args], { env })).stdout;
}

async function nix(args: readonly string[]): Promise<void> {
  await execa('nix', args, { stdio: 'ignore' });
}

async function rclone(files: string, bucket: string): Promise<void> {
  const { accessKeyId, secretAccessKey } = garage.credentials;
  const remote = {
    // rclone does not take one of its own transport.
    AWS_CA_BUNDLE: '',
    RCLONE_CONFIG_G_TYPE: 's3',
    RCLONE_CONFIG_G_PROVIDER: 'Other',
    RCLONE_CONFIG_G_ENDPOINT: garage.nodes[0]!.s3Endpoint,
    RCLONE_CONFIG_G_REGION: garage.region,
    RCLONE_CONFIG_G_ACCESS_KEY_ID: accessKeyId,
    RCLONE_CONFIG_G_SECRET_ACCESS_KEY: secretAccessKey,
  };
  await execa('rclone', ['copy', files, `g:${bucket}`, '--transfers', '16', '--checkers', '16'], { env: remote });
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

async function hasProgram(name: string): Promise<boolean> {
  const paths = (process.env.PATH ?? '').split(delimiter).map((path) => access(join(path, name)));
  return Promise.any(paths).then(
    () => true,
    () => false,
  );
}
