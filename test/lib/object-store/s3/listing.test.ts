import { describe, expect, it } from 'vitest';
import type { WriteStore } from '#lib/object-store/object-store.js';
import { type Asked, errorReply, useFakeBucket, xml } from '../../../support/fake-bucket.js';

const LIST = xml('<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>');

describe('a listing', () => {
  const open = useFakeBucket();
  const page = (keys: readonly string[], next?: string, encoding = 'url') => {
    const contents = keys.map((key) => `<Contents><Key>${key}</Key><Size>1</Size></Contents>`).join('');
    const token = next === undefined ? '' : `<NextContinuationToken>${next}</NextContinuationToken>`;
    const head = `<EncodingType>${encoding}</EncodingType><IsTruncated>${next !== undefined}</IsTruncated>`;
    return xml(`<ListBucketResult>${head}${token}${contents}</ListBucketResult>`);
  };

  it.each([
    ['nowhere', [xml('<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>')]],
    ['to nothing', [page(['a'], '')]],
    ['where it was', [page(['a'], 't'), page(['b'], 't')]],
  ])('that goes on %s is an error', async (_, pages) => {
    let at = 0;
    const { store, asked } = await open(() => pages[Math.min(at++, pages.length - 1)]!);
    await expect(keysOf(store)).rejects.toMatchObject({
      code: 'E_REMOTE',
      message: expect.stringContaining('does not go on'),
    });
    expect(asked.length).toBe(pages.length);
  });

  /** A server that lists in this way, and has these objects. */
  const listed = async (answer: string, there: readonly string[] = []) => {
    const pages = [answer, LIST];
    const has = ({ path }: Asked) => there.includes(decodeURIComponent(path.slice('/nix/'.length)));
    const { store, asked } = await open((each) => {
      if (each.method === 'HEAD') return has(each) ? { status: 200 } : { status: 404 };
      return pages.shift() ?? errorReply(404, 'NoSuchKey');
    });
    return { keys: await keysOf(store, 'p/'), looks: asked.filter(({ method }) => method === 'HEAD').length };
  };

  it('goes on to its end, and passes over what is no key of it', async () => {
    const answer = page(['p/a', 'q/x', 'p/%E4', 'other', 'p/b%2Fc+d', 'p/b+e'], 't');
    expect(await listed(answer, ['p/b/c d'])).toMatchObject({ keys: ['p/a', 'p/b/c d', 'p/b e'] });
  });

  it.each([
    ['that says nothing of it', xml('<ListBucketResult><Contents><Key>p/1+2</Key></Contents></ListBucketResult>')],
    ['that leaves it open', page(['p/1+2'], undefined, '')],
  ])('takes keys as they are from a server %s', async (_, answer) => {
    expect(await listed(answer)).toEqual({ keys: ['p/1+2'], looks: 0 });
  });

  it('looks once whether a server encodes keys as it says', async () => {
    const keys = ['p/1%2B2', 'p/3%2B4', 'p/a'];
    expect(await listed(page(keys), ['p/1+2'])).toEqual({ keys: ['p/1+2', 'p/3+4', 'p/a'], looks: 1 });
    expect(await listed(page(keys), ['p/1%2B2'])).toEqual({ keys, looks: 2 });
    expect(await listed(page(['p/1+2', 'p/3+4']), ['p/1+2'])).toEqual({ keys: ['p/1+2', 'p/3+4'], looks: 2 });
    // What has gone meanwhile tells nothing.
    expect(await listed(page(keys), ['p/3+4'])).toEqual({ keys: ['p/1+2', 'p/3+4', 'p/a'], looks: 3 });
    expect((await listed(page(['p/a', 'p/b']))).looks).toBe(0);
  });

  it('knows by what percent-encoding leaves nowhere that a server does not encode', async () => {
    for (const odd of ['p/a b', 'p/%zz', 'p/100%', 'p/\u00fc']) {
      expect(await listed(page([odd, 'p/v1+2'])), odd).toEqual({ keys: [odd, 'p/v1+2'], looks: 0 });
    }
  });

  it('has each key once, also where a server repeats one', async () => {
    expect((await listed(page(['p/a', 'p/a', 'p/b']))).keys).toEqual(['p/a', 'p/b']);
  });
});

async function keysOf(store: WriteStore, prefix = ''): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list({ prefix, recursive: true })) keys.push(key);
  return keys;
}
