import { describe, expect, it } from 'vitest';
import { cacheAddress } from '#cache/keys/address.js';
import { followKeys } from '#cache/keys/chain.js';
import { parseStatements, type Successor, signStatement } from '#cache/keys/statement.js';
import { renderPublicKey, type SecretKey, secretKeyFromSeed } from '#lib/signing/key.js';

const DAY = 24 * 60 * 60 * 1000;
const NOW = Date.parse('2026-11-28T12:00:00.000Z');
const at = (days: number) => new Date(NOW + days * DAY).toISOString();
const key = (name: string, seed = name.charCodeAt(0)) => secretKeyFromSeed(name, new Uint8Array(32).fill(seed));
const text = ({ publicKey }: SecretKey) => renderPublicKey(publicKey);
const HERE = 'https://nix.example.org';

interface Says {
  readonly caches?: readonly string[];
  readonly signed?: number;
  readonly next?: readonly (readonly [SecretKey, number])[];
}

const says = (by: SecretKey, { caches = [HERE], signed = -1, next = [] }: Says = {}) => {
  const successors: Successor[] = next.map(([each, until]) => ({ key: text(each), until: at(until) }));
  const { value, signatures } = signStatement(by, { caches, updatedAt: at(signed), successors });
  return { version: 1, ...value, signatures };
};
const parse = (...keys: readonly object[]) => parseStatements(JSON.stringify({ version: 1, keys }));
const follow = (trusted: SecretKey, keys: readonly object[], newest: readonly (readonly [SecretKey, number])[] = []) =>
  followKeys([trusted.publicKey], parse(...keys), {
    ...{ address: HERE, now: NOW, newest: new Map(newest.map(([each, time]) => [text(each), at(time)])) },
  });
const names = ({ followed }: ReturnType<typeof followKeys>) => followed.map(({ key: { name } }) => name);

describe('successors of trusted keys', () => {
  const [a, b, c] = [key('a-1'), key('b-1'), key('c-1')] as const;

  it('are those that a trusted key vouches for, and those that these do, no longer than each link', () => {
    const chain = follow(a, [says(a, { next: [[b, 30]] }), says(b, { next: [[c, 60]] })]);
    expect(chain.followed).toMatchObject([
      { key: { name: 'b-1' }, by: 'a-1', until: at(30) },
      { key: { name: 'c-1' }, by: 'b-1', until: at(30) },
    ]);
  });

  it.each<[string, readonly object[], string | undefined]>([
    ['past its end', [says(a, { next: [[b, 0]] })], 'expired'],
    ['far longer than a year', [says(a, { signed: -400, next: [[b, 5000]] })], 'expired'],
    ['about another cache', [says(a, { caches: ['https://other.example.org'], next: [[b, 9]] })], 'elsewhere'],
    ['of a time to come', [says(a, { signed: 2, next: [[b, 9]] })], 'from-the-future'],
    ['by a key that nobody vouches for', [says(b, { next: [[c, 9]] })], undefined],
    ['by another key of the same name', [says(key('a-1', 7), { next: [[b, 9]] })], undefined],
    ['not there any more', [says(a)], undefined],
  ])('are none where what is said is %s', (_, keys, kind) => {
    const chain = follow(a, keys);
    expect(names(chain)).toEqual([]);
    expect(chain.notFollowed.map((each) => each.kind)).toEqual(kind === undefined ? [] : [kind]);
  });

  it('are none where something newer was seen: what was taken back stays so', () => {
    const old = [says(a, { signed: -5, next: [[b, 9]] })];
    expect(names(follow(a, old))).toEqual(['b-1']);
    expect(names(follow(a, old, [[a, -5]]))).toEqual(['b-1']);
    expect(follow(a, old, [[a, -4]])).toMatchObject({ followed: [], notFollowed: [{ kind: 'older', newest: at(-4) }] });
  });

  it('are taken with a clock that is some hours late', () => {
    expect(names(follow(a, [says(a, { signed: 0.5, next: [[b, 9]] })]))).toEqual(['b-1']);
  });

  it('end where keys vouch for each other, and after some links', () => {
    expect(
      names(
        follow(a, [
          says(a, {
            next: [
              [b, 9],
              [a, 9],
            ],
          }),
          says(b, {
            next: [
              [a, 9],
              [b, 9],
            ],
          }),
        ]),
      ),
    ).toEqual(['b-1']);
    const many = Array.from({ length: 20 }, (_, index) => key(`k-${index}`, index + 1));
    const chain = many.slice(0, -1).map((each, index) => says(each, { next: [[many[index + 1]!, 9]] }));
    expect(names(follow(many[0]!, chain))).toHaveLength(8);
  });
});

describe('statements of keys', () => {
  const [a, b] = [key('a-1'), key('b-1')] as const;
  const good = says(a, { next: [[b, 9]] });

  it('count only as their key has signed them, one for each key', () => {
    const changed = { ...good, caches: ['https://other.example.org'] };
    const moved = { ...says(b), signatures: good.signatures };
    expect(parse(good, good, changed, moved)).toMatchObject({ statements: [{ value: { key: text(a) } }], refused: 3 });
    expect(parse(changed, good)).toMatchObject({ statements: [{ value: { caches: [HERE] } }], refused: 1 });
  });

  it.each<[string, unknown]>([
    ['no JSON', '{'],
    ['a list', []],
    ['another version', { version: 2, keys: [] }],
    ['another field', { version: 1, keys: [], more: 1 }],
    ['another field of a statement', { version: 1, keys: [{ ...good, more: 1 }] }],
    ['no key', { version: 1, keys: [{ ...good, key: 'a-1:AAAA' }] }],
    ['a key with white space', { version: 1, keys: [{ ...good, key: ` ${text(a)}` }] }],
    ['a time of another zone', { version: 1, keys: [{ ...good, updatedAt: '2026-11-28T12:00:00+01:00' }] }],
    ['too many', { version: 1, keys: Array(33).fill(good) }],
  ])('are refused whole where there is %s', (_, value) => {
    expect(() => parseStatements(typeof value === 'string' ? value : JSON.stringify(value))).toThrow(
      expect.objectContaining({ code: 'E_FORMAT' }),
    );
  });
});

it.each([
  ['https://Nix.example.org/', HERE],
  ['http://nix.example.org', HERE],
  ['https://user:secret@nix.example.org:443//', HERE],
  ['https://nix.example.org:8443/a/b/?x=1', 'https://nix.example.org:8443/a/b'],
  ['file:///srv/cache/', 'file:///srv/cache'],
  ['s3://nix/sub?region=garage&endpoint=http://localhost:3900', 's3://nix/sub at localhost:3900'],
  ['s3://nix?endpoint=garage.example.org&profile=x', 's3://nix at garage.example.org'],
  ['s3://nix', 's3://nix at amazonaws.com'],
  ['ftp://nix.example.org', undefined],
  ['nix.example.org', undefined],
])('the address of %s is %s', (url, address) => {
  expect(cacheAddress(url)).toBe(address);
});
