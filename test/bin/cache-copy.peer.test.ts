import { beforeAll, beforeEach, expect, it } from 'vitest';
import { faultsIn, openBucket } from '../support/bucket.js';
import { describeWithGarage, useGarage } from '../support/garage.js';
import { useProxy } from '../support/proxy.js';
import type { RequestHead } from '../support/proxy-faults.js';
import { createLargeStore } from '../support/samples.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

describeWithGarage('cache copy between buckets of one server', () => {
  const garage = useGarage();
  const box = useSandbox('all');
  const proxy = useProxy(() => garage().nodes[0]!.s3Endpoint);
  let store: Awaited<ReturnType<typeof createLargeStore>>;
  let key: KeyFile;
  let from: string;
  let to: string;
  beforeAll(async () => {
    store = await createLargeStore(box().root, [2000, 600_000, 3000, 700_000]);
    key = await box().makeKey('copy-1');
  });
  beforeEach(async () => {
    [from, to] = [await garage().freshBucket(), await garage().freshBucket()];
    const args = ['push', store.top, '--store', store.root, '--to', garage().url(from), '--secret-key', key.file];
    await box().carport(args, { env: garage().env });
    proxy().reset();
  });

  const copy = async () => {
    const urls = [from, to].map((name) => garage().url(name, { endpoint: proxy().url }));
    const args = ['cache', 'copy', ...urls, '--trusted-key', key.publicKey, '--json'];
    const { exitCode, stdout, stderr } = await box().carport(args, { env: garage().env });
    expect(exitCode, stderr).toBe(0);
    return JSON.parse(stdout);
  };
  const isServerCopy = ({ method, headers }: RequestHead) => method === 'PUT' && 'x-amz-copy-source' in headers;
  const expectWhole = async () => {
    expect(await faultsIn(openBucket(garage(), to))).toEqual([]);
    const here = ['--trusted-key', key.publicKey, '--store', box().path(`pulled-${to}`)];
    const args = ['pull', store.top, '--from', garage().url(to), ...here];
    expect((await box().carport(args, { env: garage().env })).exitCode).toBe(0);
  };

  it('has the server copy the NARs, and reads them there', async () => {
    expect(await copy()).toMatchObject({ copied: store.paths.length, present: 0 });
    const sent = proxy()
      .requests()
      .filter(({ method, path, bodyBytesUp }) => method === 'PUT' && path.includes('/nar/') && bodyBytesUp > 0);
    expect(sent).toEqual([]);
    await expectWhole();
  });

  it.each([403, 404, 501])('sends them where the server answers with %i', async (status) => {
    proxy().fail({ match: isServerCopy, times: 1000, fault: { status, readBody: true } });
    expect(await copy()).toMatchObject({ copied: store.paths.length });
    await expectWhole();
  });
});
