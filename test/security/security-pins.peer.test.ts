import { cp, readFile, writeFile } from 'node:fs/promises';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { signText } from '#lib/signing/signature.js';
import { parsePin, pinMessage, renderPin } from '../support/pins.js';
import { useSampleCache } from '../support/sample-cache.js';
import { type SampleStore, sampleKey } from '../support/samples.js';
import { useSandbox } from '../support/sandbox.js';

/** A pin says which compiler everybody runs: what a bucket's owner, a mirror or the network makes of it is refused. */
describe('a pin that was tampered with', () => {
  const sample = useSampleCache();
  const box = useSandbox();
  let samples: SampleStore;
  beforeAll(async () => {
    ({ samples } = sample());
    for (const path of [samples.base.path, samples.top.path]) await set(sample().cache, path);
  });
  let cache: string;
  beforeEach(async () => {
    cache = await sample().copy(box().path('cache'));
  });

  const set = async (to: string, path: string, ...more: readonly string[]) => {
    const { shared, keyFile } = sample();
    const signed = ['--secret-key', keyFile.file, '--expires', '9d'];
    await shared.succeed(['pin', 'set', 'tool', path, '--to', to, ...signed, ...more]);
  };
  const file = (name = 'tool', at = cache) => `${at}/carport/pins/${name}.json`;
  const pull = (what = 'tool', ...more: readonly string[]) =>
    box().carport(['pull', what, '--from', cache, '--trusted-key', sample().keyFile.publicKey, ...more]);
  const expectRefused = async (reason: string, what = 'tool', ...more: readonly string[]) => {
    const { exitCode, stderr, stdout } = await pull(what, ...more);
    expect([exitCode, stdout], stderr).toEqual([6, '']);
    expect(stderr).toContain(reason);
    expect(stderr).toContain('hint: ');
    expect((await box().succeed(['store', 'ls'])).stdout).toBe('');
    expect((await box().succeed(['store', 'ls', '--roots'])).stdout).toBe('');
  };

  it('is taken as it is', async () => {
    expect((await pull()).lines).toEqual(samples.paths);
    expect((await pull('tool@previous')).lines.at(-1)).toBe(samples.base.path);
  });

  it('is refused for every value in it that is changed, one by one', async () => {
    const whole = JSON.parse(await readFile(file(), 'utf8')) as Record<string, unknown>;
    const places = [...leaves(whole, [])];
    expect(places.length).toBeGreaterThan(8);
    for (const place of places) {
      for (const changed of changesOf(whole, place)) {
        await writeFile(file(), JSON.stringify(changed));
        const { exitCode, stderr } = await pull();
        expect(exitCode, `${place.join('.')}: ${JSON.stringify(changed)}: ${stderr}`).toBe(6);
      }
    }
    expect((await box().succeed(['store', 'ls'])).stdout).toBe('');
    await writeFile(file(), JSON.stringify(whole));
    expect((await pull()).exitCode).toBe(0);
  });

  it('is refused with a field more, a field less, and values moved between history and present', async () => {
    const whole = parsePin(await readFile(file(), 'utf8'));
    const [older] = whole.history;
    await writeFile(file(), renderPin({ ...whole, history: [] }));
    await expectRefused('is wrong');
    await writeFile(file(), renderPin({ ...whole, ...older!, history: [whole] }));
    await expectRefused('is wrong');
    await writeFile(file(), renderPin({ ...whole, expiresAt: null }));
    await expectRefused('is wrong');
    await writeFile(file(), JSON.stringify({ ...JSON.parse(renderPin(whole)), comment: 'x' }));
    await expectRefused('comment');
    await writeFile(file(), '<html>please log in</html>');
    await expectRefused('damaged');
    await writeFile(file(), 'x'.repeat(5 * 1024 * 1024));
    await expectRefused('tool');
  });

  it('is refused under another name', async () => {
    await cp(file(), file('other'));
    await expectRefused('under another name', 'other');
  });

  it('is refused without a signature and with that of another key, also one of the same name', async () => {
    const { signatures: _, ...unsigned } = parsePin(await readFile(file(), 'utf8'));
    await writeFile(file(), renderPin({ ...unsigned, signatures: [] }));
    await expectRefused('it has no signature');
    await writeFile(
      file(),
      renderPin({ ...unsigned, signatures: [signText(pinMessage(unsigned), sampleKey('evil-1', 2))] }),
    );
    await expectRefused('it is signed by `evil-1`');
    await writeFile(
      file(),
      renderPin({ ...unsigned, signatures: [signText(pinMessage(unsigned), sampleKey('test-1', 3))] }),
    );
    await expectRefused('is wrong');
    // Unsigned is a choice, wrong is not.
    await expectRefused('is wrong', 'tool', '--allow-unsigned');
    await writeFile(file(), renderPin({ ...unsigned, signatures: [] }));
    expect((await pull('tool', '--allow-unsigned')).exitCode).toBe(0);
  });

  it('is refused when its paths are signed by nobody that is trusted, or are other paths', async () => {
    const path = '/nix/store/00000000000000000000000000000000-never-pushed';
    const { signatures: _, ...pin } = { ...parsePin(await readFile(file(), 'utf8')), storePaths: [path] };
    await writeFile(file(), renderPin({ ...pin, signatures: [signText(pinMessage(pin), sample().key)] }));
    expect((await pull()).exitCode).toBe(5);
    // The same hash part, with another name.
    const renamed = { ...pin, storePaths: [`${samples.top.path}-other`] };
    await writeFile(file(), renderPin({ ...renamed, signatures: [signText(pinMessage(renamed), sample().key)] }));
    await expectRefused('answers with');
  });

  it('is refused when an older one comes in its place, until that is said to be right', async () => {
    const old = await readFile(file());
    await set(cache, samples.base.path);
    expect((await pull()).lines.at(-1)).toBe(samples.base.path);
    await writeFile(file(), old);
    const { exitCode, stderr } = await pull();
    expect(exitCode).toBe(6);
    expect(stderr).toMatch(
      /older than the one that was seen before\n +because it was written on .* and one of .* was seen/,
    );
    expect((await pull('tool@previous')).exitCode).toBe(6);
    expect((await pull('tool', '--allow-rollback')).lines).toEqual(samples.paths);
    // Once is not for ever.
    expect((await pull()).exitCode).toBe(6);
  });

  it('is refused when it has expired, until that is said to be right', async () => {
    const { signatures: _, ...pin } = {
      ...parsePin(await readFile(file(), 'utf8')),
      expiresAt: '2026-01-01T00:00:00.000Z',
    };
    await writeFile(file(), renderPin({ ...pin, signatures: [signText(pinMessage(pin), sample().key)] }));
    await expectRefused('expired on 2026-01-01');
    expect((await pull('tool', '--allow-expired')).exitCode).toBe(0);
  });
});

type Place = readonly (string | number)[];

function* leaves(value: unknown, at: Place): Generator<Place> {
  if (value === null || typeof value !== 'object') yield at;
  else
    for (const [key, inner] of Object.entries(value))
      yield* leaves(inner, [...at, Array.isArray(value) ? Number(key) : key]);
}

/** The document with one value changed, in ways that are still good JSON and mostly still a good pin. */
function changesOf(whole: unknown, place: Place): readonly unknown[] {
  const change = (to: (old: unknown) => unknown) => {
    const copy = structuredClone(whole) as Record<string | number, never>;
    let at: Record<string | number, unknown> = copy;
    for (const key of place.slice(0, -1)) at = at[key] as Record<string | number, unknown>;
    at[place.at(-1)!] = to(at[place.at(-1)!]);
    return copy;
  };
  const flip = (old: unknown) => {
    if (typeof old !== 'string') return typeof old === 'number' ? old + 1 : 'x';
    const digit = [...old.matchAll(/[0-9]/g)].at(-1)?.index ?? old.length - 1;
    const other = old[digit] === '1' ? '2' : '1';
    return old.slice(0, digit) + other + old.slice(digit + 1);
  };
  return [change(flip), change(() => null)].filter((changed) => JSON.stringify(changed) !== JSON.stringify(whole));
}
