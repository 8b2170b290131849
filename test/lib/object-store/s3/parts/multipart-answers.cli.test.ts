import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdir, rename, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { openUploadRecords } from '#lib/object-store/s3/parts/upload-records.js';
import {
  type Asked,
  errorReply,
  type FakeBucket,
  type Reply,
  useFakeBucket,
  xml,
} from '../../../../support/fake-bucket.js';
import { noise } from '../../../../support/files.js';

const MIB = 1024 * 1024;
const KEY = 'nar/x.nar';
const CONTENT = noise(5.5 * MIB);
const NAR = { contentType: 'application/x-nix-nar' };

interface Listed {
  readonly id: string;
  readonly key?: string;
  /** When it was begun, from now by the server's clock. */
  readonly ago?: number;
  readonly parts?: number;
}

/** What is asked for, in a word; S3 tells it by method and query. */
function kindOf({ method, path }: Asked): string {
  const { searchParams: query } = new URL(path, 'http://h');
  if (query.has('partNumber')) return 'part';
  if (query.has('uploadId')) return { GET: 'parts', DELETE: 'abort', POST: 'complete' }[method] ?? method;
  return query.has('uploads') ? (method === 'POST' ? 'create' : 'uploads') : method;
}

const idOf = ({ path }: Asked) => new URL(path, 'http://h').searchParams.get('uploadId');

describe('an upload in parts, as servers answer it', () => {
  const open = useFakeBucket();

  interface Server {
    /** What there is beside the upload; replies to what a test names come first. */
    readonly uploads?: readonly Listed[];
    readonly reply?: (kind: string, nth: number, asked: Asked) => Reply | undefined | Promise<Reply | undefined>;
    /** How far the server's clock is ahead. */
    readonly ahead?: number;
    readonly etag?: (body: Buffer) => string;
    readonly signal?: AbortSignal;
  }

  const serve = async ({ uploads = [], reply, ahead = 0, etag = md5, signal }: Server) => {
    const counts = new Map<string, number>();
    const bucket = await open(
      async (asked): Promise<Reply> => {
        const kind = kindOf(asked);
        const nth = (counts.get(kind) ?? 0) + 1;
        counts.set(kind, nth);
        const now = Date.now() + ahead;
        const given = await reply?.(kind, nth, asked);
        if (given !== undefined) return given;
        const date = { date: new Date(now).toUTCString() };
        if (kind === 'uploads') return { headers: date, body: uploadsXml(uploads, now) };
        if (kind === 'parts') return partsXml(uploads.find(({ id }) => id === idOf(asked))?.parts ?? 0);
        if (kind === 'part') return { headers: { etag: etag(asked.body) } };
        if (kind === 'abort') return { status: 204 };
        if (kind === 'create')
          return xml(`<InitiateMultipartUploadResult><UploadId>ours</UploadId></InitiateMultipartUploadResult>`);
        if (kind === 'complete')
          return xml('<CompleteMultipartUploadResult><ETag>"x"</ETag></CompleteMultipartUploadResult>');
        return errorReply(404, 'NoSuchKey');
      },
      { ...(signal && { signal }) },
    );
    const of = (kind: string) => bucket.asked.filter((asked) => kindOf(asked) === kind);
    return { ...bucket, of, aborted: () => of('abort').map(idOf) };
  };
  const put = async ({ store }: FakeBucket) => {
    const path = await store.spoolName();
    await writeFile(path, CONTENT);
    await store.put(KEY, { path, size: CONTENT.length }, NAR);
  };

  it('is completed with the ETags that the server gave, which of encrypted parts are no MD5', async () => {
    const etag = (body: Buffer) => `"kms-${body.length}"`;
    const server = await serve({ etag });
    await put(server);
    const complete = server.of('complete')[0]!.body.toString().replaceAll('&quot;', '"');
    expect(complete).toContain('<ETag>"kms-5242880"</ETag><PartNumber>1</PartNumber>');
    expect(complete).toContain('<ETag>"kms-524288"</ETag><PartNumber>2</PartNumber>');
  });

  it('is completed with MD5s where the server gives no ETag', async () => {
    const server = await serve({ reply: (kind) => (kind === 'part' ? { status: 200 } : undefined) });
    await put(server);
    const complete = server.of('complete')[0]!.body.toString().replaceAll('&quot;', '"');
    expect(complete).toContain(`<ETag>${md5(CONTENT.subarray(0, 5 * MIB))}</ETag>`);
  });

  it('is completed again when the server fails in a good answer', async () => {
    const server = await serve({
      reply: (kind, nth) =>
        kind === 'complete' && nth < 3
          ? xml('<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>')
          : undefined,
    });
    await put(server);
    expect(server.of('complete').length).toBe(3);
  });

  describe('of which the begin was answered at the second try', () => {
    const lose = (kind: string, nth: number) => (kind === 'create' && nth === 1 ? 'drop' : undefined);

    it.each([0, -100_000_000, 100_000_000])('removes its twin only, by a clock that is %d ms ahead', async (ahead) => {
      const uploads = [
        { id: 'ours', ago: 0 },
        { id: 'twin', ago: 0 },
        { id: 'of others, under way', ago: 0, parts: 1 },
        { id: 'of others, earlier', ago: 20_000 },
        { id: 'of others, later', ago: -20_000 },
        { id: 'of another key', ago: 0, key: `${KEY}.zst` },
      ];
      const server = await serve({ uploads, ahead, reply: lose });
      await put(server);
      expect(server.aborted()).toEqual(['twin']);
    });

    it('removes it also when a part is refused', async () => {
      const server = await serve({
        uploads: [{ id: 'twin' }],
        reply: (kind, nth) => (kind === 'part' ? errorReply(403, 'AccessDenied') : lose(kind, nth)),
      });
      await expect(put(server)).rejects.toMatchObject({ code: 'E_CREDENTIALS' });
      expect(server.aborted().sort()).toEqual(['ours', 'twin']);
    });

    it('is whole though its twin cannot be removed', async () => {
      const server = await serve({
        reply: (kind, nth) => (kind === 'uploads' ? errorReply(403, 'AccessDenied') : lose(kind, nth)),
      });
      await put(server);
      expect(server.of('complete').length).toBe(1);
    });
  });

  it('looks for no twins when each request was answered', async () => {
    const server = await serve({});
    await put(server);
    expect(server.of('uploads').length).toBe(0);
  });

  it.each([
    ['nothing', { status: 200 }],
    ['no id', xml('<InitiateMultipartUploadResult><UploadId></UploadId></InitiateMultipartUploadResult>')],
    ['another document', xml('<PostResponse><UploadId>x</UploadId></PostResponse>')],
  ])('sends no part to a server that answers the begin with %s: it would take it for the object', async (_, answer) => {
    const server = await serve({ reply: (kind) => (kind === 'create' ? answer : undefined) });
    await expect(put(server)).rejects.toMatchObject({ code: 'E_UNSUPPORTED' });
    expect(server.asked.filter(({ method }) => method === 'PUT' || method === 'DELETE')).toEqual([]);
  });

  it.each([
    ['knows it', partsXml(1), ['left']],
    ['has forgotten it', errorReply(404, 'NoSuchUpload'), []],
    ['gives the object instead', { body: 'the bytes of the object' }, []],
    ['gives an object that is XML', xml('<Project></Project>'), []],
    ['does not have that', errorReply(501, 'NotImplemented'), []],
  ] as const)('of an earlier run is removed where the server %s', async (_, parts, removed) => {
    const server = await serve({ reply: (kind) => (kind === 'parts' ? parts : undefined) });
    const { endpoint } = await server.store.bucket.address();
    const size = CONTENT.length - 1;
    const record = {
      store: `${endpoint.href} nix`,
      key: KEY,
      uploadId: 'left',
      size,
      partSize: 5 * MIB,
      begun: Date.now(),
    };
    const { file } = await openUploadRecords(server.records).keep(record);
    await rename(file, file.replace(`-${process.pid}-`, `-${spawnSync('true').pid}-`));
    // The file is another now: it cannot be gone on with.
    await put(server);
    expect(server.aborted()).toEqual(removed);
    expect(await readdir(server.records)).toEqual([]);
  });

  it('is not complete when the answer is that to something else', async () => {
    const server = await serve({ reply: (kind) => (kind === 'complete' ? { status: 200 } : undefined) });
    await expect(put(server)).rejects.toMatchObject({ code: 'E_UNSUPPORTED' });
  });

  it('of which the begin is interrupted leaves nothing', async () => {
    const stop = new AbortController();
    const server = await serve({
      uploads: [{ id: 'lost' }],
      signal: stop.signal,
      reply: async (kind) => {
        if (kind !== 'create') return undefined;
        stop.abort(new Error('stopped'));
        await sleep(50);
        return 'drop';
      },
    });
    await expect(put(server)).rejects.toThrow('stopped');
    expect(server.aborted()).toEqual(['lost']);
  });

  it('of which no begin is answered leaves nothing', async () => {
    const server = await serve({
      uploads: [{ id: 'lost' }],
      reply: (kind) => (kind === 'create' ? 'drop' : undefined),
    });
    await expect(put(server)).rejects.toMatchObject({ code: 'E_UNAVAILABLE' });
    expect(server.aborted()).toEqual(['lost']);
  });
});

function md5(bytes: Uint8Array): string {
  return `"${createHash('md5').update(bytes).digest('hex')}"`;
}

function uploadsXml(uploads: readonly Listed[], now: number): string {
  const each = uploads.map(
    ({ id, key = KEY, ago = 0 }) =>
      `<Upload><Key>${key}</Key><UploadId>${id}</UploadId><Initiated>${new Date(now - ago).toISOString()}</Initiated></Upload>`,
  );
  return xml(`<ListMultipartUploadsResult>${each.join('')}</ListMultipartUploadsResult>`);
}

function partsXml(count: number): string {
  const part = '<Part><PartNumber>1</PartNumber><ETag>"x"</ETag></Part>';
  return xml(`<ListPartsResult>${part.repeat(count)}</ListPartsResult>`);
}
