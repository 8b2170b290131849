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
    await connectNodes(members);
    const problems = (await Promise.all(members.map((member) => problemsOf(member, members)))).flat();
    if (problems.length === 0) return;
    if (performance.now() > deadline) throw new Error(`Garage is not healthy: ${problems.join('; ')}`);
    await sleep(20);
  }
}

async function connectOthers(member: Member, members: readonly Member[]): Promise<void> {
  const others = members.filter((each) => each !== member);
  if (others.length > 0)
    await member.admin(
      'ConnectClusterNodes',
      others.map(({ address }) => address),
    );
}

async function problemsOf({ admin }: Member, members: readonly Member[]): Promise<readonly string[]> {
  const answers = members.map(async ({ address }) => {
    const { error } = (await admin('GetNodeInfo', undefined, { node: idOf(address) })) as { error: object };
    return Object.values(error) as readonly string[];
  });
  const { status } = (await admin('GetClusterHealth')) as { status: string };
  return [...(await Promise.all(answers)).flat(), ...(status === 'unavailable' ? [status] : [])];
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

/** Makes a bucket; one that is already there is left as it is. */
export async function createBucket(admin: Admin, name: string): Promise<void> {
  if (!(await findBucket(admin, name))) await admin('CreateBucket', { globalAlias: name });
}

export async function allowKey(admin: Admin, bucket: string, key: string, permissions: Permissions): Promise<void> {
  await admin('AllowBucketKey', { bucketId: await bucketId(admin, bucket), accessKeyId: key, permissions });
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

export async function allowWebsite(admin: Admin, bucket: string): Promise<void> {
  const websiteAccess = { enabled: true, indexDocument: 'index.html' };
  await admin('UpdateBucket', { websiteAccess }, { id: await bucketId(admin, bucket) });
}

/** Another name for a bucket; another bucket that had the name loses it. */
export async function setAlias(admin: Admin, bucket: string, alias: string): Promise<void> {
  const [id, before] = await Promise.all([bucketId(admin, bucket), findBucket(admin, alias)]);
  if (before === id) return;
  if (before) await admin('RemoveBucketAlias', { bucketId: before, globalAlias: alias });
  await admin('AddBucketAlias', { bucketId: id, globalAlias: alias });
}

async function bucketId(admin: Admin, name: string): Promise<string> {
  const id = await findBucket(admin, name);
  if (id === undefined) throw new Error(`there is no bucket ${name}`);
  return id;
}

async function findBucket(admin: Admin, name: string): Promise<string | undefined> {
  const buckets = (await admin('ListBuckets')) as readonly { id: string; globalAliases: readonly string[] }[];
  return buckets.find(({ globalAliases }) => globalAliases.includes(name))?.id;
}
