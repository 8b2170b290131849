/** Garage's administration API. */

import { setTimeout as sleep } from 'node:timers/promises';

/** Garage's administration API: `call('CreateBucket', { globalAlias: 'nix' })`. */
export type Admin = (name: string, body?: unknown, query?: Readonly<Record<string, string>>) => Promise<unknown>;

export interface Permissions {
  readonly read?: boolean;
  readonly write?: boolean;
  readonly owner?: boolean;
}

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** `endpoint` is asked at each call, as nodes come and go. */
export function connectToAdmin(endpoint: () => string, token: string): Admin {
  return async (name, body, query = {}) => {
    const response = await fetch(`${endpoint()}/v2/${name}?${new URLSearchParams(query)}`, {
      // Garage waits at its end for connections that are kept.
      headers: { Authorization: `Bearer ${token}`, Connection: 'close' },
      ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`Garage's ${name} answered ${response.status}: ${text.trim()}`);
    return JSON.parse(text);
  };
}

/** Gives each node of a new cluster its part of the data. */
export async function assignLayout(admin: Admin, members: readonly Member[]): Promise<void> {
  const { version } = (await admin('GetClusterLayout')) as { version: number };
  if (version > 0) return;
  const roles = members.map(({ address }, index) => {
    return { id: idOf(address), zone: `z${index + 1}`, capacity: 10_000_000_000, tags: [] };
  });
  await admin('UpdateClusterLayout', { roles });
  await admin('ApplyClusterLayout', { version: 1 });
}

export interface Member {
  readonly admin: Admin;
  /** `<id>@<address>`. */
  readonly address: string;
}

/** Connects nodes with each other, all with all: left alone they take ten seconds to find each other. */
export async function connectNodes(members: readonly Member[]): Promise<void> {
  await Promise.all(members.map((member) => connectOthers(member, members)));
}

/**
 * Waits until these nodes reach each other and can read and write. A node does not notice for ten seconds that another
 * was killed, also when that runs again, and calls the cluster healthy meanwhile; so they are made to talk.
 */
export async function waitUntilHealthy(members: readonly Member[], deadlineMs: number): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const strangers = (await Promise.all(members.map((member) => strangersOf(member, members)))).flat();
    if (strangers.length > 0) await connectNodes(members);
    const problems = strangers.length > 0 ? strangers : await outagesOf(members);
    if (problems.length === 0) return;
    if (performance.now() > deadline) throw new Error(`Garage is not healthy: ${problems.join('; ')}`);
    await sleep(HEALTH_PAUSE_MS);
  }
}

/** Garage spends 30 ms of computing on each call, for the hash of the token. */
const HEALTH_PAUSE_MS = 100;

async function connectOthers(member: Member, members: readonly Member[]): Promise<void> {
  const others = members.filter((each) => each !== member);
  if (others.length > 0)
    await member.admin(
      'ConnectClusterNodes',
      others.map(({ address }) => address),
    );
}

/** Says which members a node does not reach. */
async function strangersOf({ admin, address }: Member, members: readonly Member[]): Promise<readonly string[]> {
  if (members.length === 1) return [];
  const answer = await admin('GetNodeInfo', undefined, { node: '*' });
  const { success, error } = answer as Record<'success' | 'error', Readonly<Record<string, unknown>>>;
  const ids = members.map((member) => idOf(member.address)).filter((id) => id !== idOf(address) && !(id in success));
  return ids.map((id) => String(error[id] ?? `${id} is not known`));
}

async function outagesOf(members: readonly Member[]): Promise<readonly string[]> {
  const health = members.map(({ admin }) => admin('GetClusterHealth') as Promise<{ readonly status: string }>);
  return (await Promise.all(health)).map(({ status }) => status).filter((status) => status === 'unavailable');
}

function idOf(address: string): string {
  return address.split('@')[0]!;
}

export async function createKey(admin: Admin, name: string): Promise<Credentials> {
  const key = (await admin('CreateKey', { name })) as Credentials;
  return { accessKeyId: key.accessKeyId, secretAccessKey: key.secretAccessKey };
}

/** A key that is already there is left as it is. */
export async function importKey(admin: Admin, name: string, credentials: Credentials): Promise<void> {
  const { accessKeyId } = credentials;
  const known = (await admin('ListKeys')) as readonly { readonly id: string }[];
  if (known.some(({ id }) => id === accessKeyId)) return;
  await admin('ImportKey', { name, ...credentials });
  await admin('UpdateKey', { allow: { createBucket: true } }, { id: accessKeyId });
}

/** Makes a bucket with which a key may do everything; of one that is already there only the latter. */
export async function createBucket(admin: Admin, name: string, key: string): Promise<void> {
  const allow = { read: true, write: true, owner: true };
  try {
    // The key's own name for it comes along, so that it may use it: in one call, as each is dear.
    await admin('CreateBucket', { globalAlias: name, localAlias: { accessKeyId: key, alias: name, allow } });
  } catch (error) {
    const id = await findBucket(admin, name);
    if (id === undefined) throw error;
    await allowKey(admin, id, key, allow);
  }
}

export async function allowKey(admin: Admin, bucketId: string, key: string, permissions: Permissions): Promise<void> {
  await admin('AllowBucketKey', { bucketId, accessKeyId: key, permissions });
}

/** Waits until these nodes know what a key may do with a bucket: they hear of it one after another. */
export async function waitUntilAllowed(admins: readonly Admin[], bucket: string, key: string): Promise<void> {
  const deadline = performance.now() + KNOWN_MS;
  const knows = async (admin: Admin) => {
    const info = (await admin('GetBucketInfo', undefined, { globalAlias: bucket }).catch(() => undefined)) as
      | { readonly keys: readonly { readonly accessKeyId: string; readonly permissions: Permissions }[] }
      | undefined;
    return info?.keys.some(({ accessKeyId, permissions }) => accessKeyId === key && permissions.read) === true;
  };
  while (!(await Promise.all(admins.map(knows))).every(Boolean)) {
    if (performance.now() > deadline) throw new Error(`not every node of Garage knows that a key may read ${bucket}`);
    await sleep(20);
  }
}

const KNOWN_MS = 10_000;

export async function allowWebsite(admin: Admin, bucketId: string): Promise<void> {
  const websiteAccess = { enabled: true, indexDocument: 'index.html' };
  await admin('UpdateBucket', { websiteAccess }, { id: bucketId });
}

/** Another name for a bucket; another bucket that had the name loses it. */
export async function setAlias(admin: Admin, bucketId: string, alias: string): Promise<void> {
  const before = await findBucket(admin, alias);
  if (before === bucketId) return;
  if (before) await admin('RemoveBucketAlias', { bucketId: before, globalAlias: alias });
  await admin('AddBucketAlias', { bucketId, globalAlias: alias });
}

export async function bucketIdOf(admin: Admin, name: string): Promise<string> {
  const id = await findBucket(admin, name);
  if (id === undefined) throw new Error(`there is no bucket ${name}`);
  return id;
}

async function findBucket(admin: Admin, name: string): Promise<string | undefined> {
  const buckets = (await admin('ListBuckets')) as readonly { id: string; globalAliases: readonly string[] }[];
  return buckets.find(({ globalAliases }) => globalAliases.includes(name))?.id;
}

/** How many objects a bucket has, and their bytes. */
export async function bucketContents(
  admin: Admin,
  name: string,
): Promise<{ readonly objects: number; readonly bytes: number }> {
  const { objects, bytes } = (await admin('GetBucketInfo', undefined, { id: await bucketIdOf(admin, name) })) as {
    objects: number;
    bytes: number;
  };
  return { objects, bytes };
}

/** How many requests for objects a node has answered, S3 and website. */
export async function countRequests(endpoint: string, token: string): Promise<number> {
  const response = await fetch(`${endpoint}/metrics`, {
    headers: { Authorization: `Bearer ${token}`, Connection: 'close' },
  });
  const lines = (await response.text()).split('\n').filter((line) => /^(api_s3|web)_request_counter\{/.test(line));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
