import { expect, it } from 'vitest';
import { type Leased, withLease } from '#cache/leases/lease.js';
import { CarportError } from '#lib/errors.js';
import { decorateStore } from '#lib/object-store/decorators/operations.js';
import { openFileStore } from '#lib/object-store/file.js';
import { openMemoryStore } from '#lib/object-store/memory.js';
import type { ObjectStore, WriteStore } from '#lib/object-store/object-store.js';
import type { WarningEvent } from '#lib/work.js';
import { useDirectory } from '../../support/files.js';

const PATH = `/nix/store/${'0'.repeat(32)}-x`;
const directory = useDirectory();

/** Does work with a lease; gives what came of it, and what was told. */
async function lease<T>(objects: ObjectStore, work: (leased: Leased) => Promise<T>) {
  const told: string[] = [];
  const emit = ({ message }: WarningEvent) => void told.push(message);
  const result = await withLease(objects, { paths: [PATH], emit, signal: new AbortController().signal }, work);
  return { result, told };
}

const refusing = (methods: readonly string[]): WriteStore =>
  decorateStore(openMemoryStore(), async ({ method, keys }, run) => {
    const isLease = keys.some((key) => key.startsWith('carport/'));
    if (methods.includes(method) && (isLease || method === 'list')) throw new CarportError('E_CREDENTIALS', 'may not');
    return run();
  });
const put = async ({ objects }: Leased) => {
  await objects.put('nar/x', Buffer.from('x'), { contentType: 'text/plain' });
  return 'done';
};

it('is there while the work goes on, and is gone after it', async () => {
  const store = openMemoryStore();
  const keys = async () => {
    const found: string[] = [];
    for await (const { key } of store.list({ recursive: true })) found.push(key);
    return found;
  };
  const { result, told } = await lease(store, async () => keys());
  expect(result).toEqual([expect.stringMatching(/^carport\/leases\//)]);
  expect([told, await keys()]).toEqual([[], []]);
});

it('does not keep a key from pushing that may not list, or not write leases; that is told', async () => {
  expect(await lease(refusing(['list']), put)).toEqual({
    result: 'done',
    told: [expect.stringContaining('cannot be listed with this key')],
  });
  expect(await lease(refusing(['put']), put)).toEqual({
    result: 'done',
    told: [expect.stringContaining('takes no lease')],
  });
});

it('lets threads put NARs into a directory themselves', async () => {
  const store = openFileStore(directory());
  expect(store.placeOf).toBeDefined();
  const { result } = await lease(store, async ({ objects }) => objects.placeOf?.('nar/x'));
  expect(result).toBe(store.placeOf?.('nar/x'));
});
