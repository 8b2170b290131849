import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll } from 'vitest';
import { type Garage, type GarageOptions, startGarage } from '#dev/garage.js';
import { findGarage, howToInstallGarage } from '#dev/garage-program.js';
import { describeWithPeer } from './peers.js';

const garageFound = await findGarage();

/** `describe` for tests against a real Garage. Without one the suite is skipped and says so, or fails in CI. */
export function describeWithGarage(title: string, body: () => void): void {
  const missing = 'missing' in garageFound ? `${garageFound.missing}: ${howToInstallGarage()}` : undefined;
  describeWithPeer(missing, title, body);
}

/** A Garage that tests share, each with buckets of its own. */
export interface TestGarage extends Garage {
  /** What carport needs of the environment to read and write here. */
  readonly env: Readonly<Record<string, string>>;
  /** Makes an empty bucket that no other test knows; gives its name. */
  freshBucket(): Promise<string>;
  /** `s3://…` for carport; by way of the first node, unless `params` has another `endpoint`. */
  url(bucket: string, params?: Readonly<Record<string, string>>): string;
  /** Serves the bucket to everybody at the URL that it gives; the bucket that was served there before is not any more. */
  serve(bucket: string): Promise<string>;
}

/** The one of this process, with which it ends. */
let shared: Promise<Garage> | undefined;

/**
 * The Garage that all files of this process share, started by the first; or, with `options`, one of its own for the file or `describe`
 * that calls this, whose nodes it may end.
 */
export function useGarage(options?: GarageOptions): () => TestGarage {
  let garage: Garage | undefined;
  let forTests: TestGarage | undefined;
  beforeAll(async () => {
    if (options === undefined) shared ??= startGarage();
    garage = await (options === undefined ? shared! : startGarage(options));
    forTests = makeTestGarage(garage);
  });
  afterAll(async () => {
    if (options !== undefined) await garage?.stop();
  });
  return () => forTests!;
}

function makeTestGarage(garage: Garage): TestGarage {
  const { region, credentials } = garage;
  const [first] = garage.nodes;
  return {
    ...garage,
    env: {
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      AWS_EC2_METADATA_DISABLED: 'true',
    },
    async freshBucket() {
      const name = `test-${randomBytes(6).toString('hex')}`;
      await garage.createBucket(name);
      return name;
    },
    url(bucket, params = {}) {
      const all = { endpoint: first!.s3Endpoint, region, ...params };
      return `s3://${bucket}?${Object.entries(all).map(renderParameter).join('&')}`;
    },
    async serve(bucket) {
      await garage.allowWebsite(bucket, { alias: 'localhost' });
      return `http://localhost:${first!.websitePort}`;
    },
  };
}

/** As people write it: `endpoint=http://127.0.0.1:3900`. */
function renderParameter([name, value]: readonly [string, string]): string {
  return `${name}=${encodeURIComponent(value).replaceAll('%3A', ':').replaceAll('%2F', '/')}`;
}
