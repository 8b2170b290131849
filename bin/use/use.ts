/** The command `use`: a cache into the user's settings, and out of them. */

import { requireCacheInfo } from '../../cache/binary-cache.js';
import type { CacheUrl } from '../../cache/cache-url.js';
import { type Proof, proveKeys, type Sample } from '../../cache/keys/proof.js';
import { readStatements } from '../../cache/keys/statement.js';
import { readPinList } from '../../cache/pins/list.js';
import { parsePinReference } from '../../cache/pins/reference.js';
import { CarportError, hasCode, insteadOf } from '../../lib/errors.js';
import { hashPartOf, isHashPart, isStorePath, storeDirOf } from '../../lib/nix/store-path.js';
import { isListable, type ObjectStore } from '../../lib/object-store/object-store.js';
import { keyFingerprint, type PublicKey, parsePublicKey, renderPublicKey } from '../../lib/signing/key.js';
import { confirm } from '../cli/confirm.js';
import { type Context, note, say, writeJson, writeLines } from '../cli/context.js';
import { printable, printableLine } from '../cli/printable.js';
import { count } from '../cli/terminal.js';
import { withCache } from '../cli/with-caches.js';
import { readSettings } from '../settings/read.js';
import { type ChangedFile, changeUserFile } from '../settings/user-file.js';
import type { UseOptions } from './command.js';
import { forgetKeys, notedKeys, noteKeys } from './notes.js';

/** Pins of a web server whose paths are looked at. */
const MOST_SAMPLES = 4;

/** Has the settings read a cache, when somebody has said that its keys are right. */
export async function run(url: CacheUrl, options: UseOptions, context: Context): Promise<void> {
  if (url.secretKeyFiles.length > 0) throw namesSecretKey();
  if (options.remove) return remove(url, options, context);
  const samples = (options.check ?? []).map(sampleOf);
  await withCache(url, { options, context }, async ({ objects }) => {
    const { storeDir } = await requireCacheInfo(objects);
    const published = await publishedKeys(objects, context);
    const keys = chosenKeys(published, options, objects);
    const proof = await proveKeys(objects, keys, samples.length > 0 ? samples : await listedSamples(objects));
    requireProof(proof, keys, published, objects);
    showKeys({ objects, storeDir, keys, proof, published }, context);
    const isSaid = (options.key ?? options.fingerprint ?? []).length > 0;
    if (!options.dryRun) await requireConsent(options.yes, isSaid, objects, context);
    const texts = keys.map(renderPublicKey);
    const changes = [
      { key: 'from', add: [objects.url] },
      { key: 'trusted-keys', add: texts },
    ];
    const changed = await changeUserFile(context.env, changes, options);
    if (!options.dryRun) await noteNewKeys(objects.url, texts, changed, context);
    await report(changed, { url: objects.url, keys, proof }, options, context);
  });
}

/** Notes keys that were not there before, or came with another cache: those of the user's own stay when the cache goes. */
async function noteNewKeys(
  url: string,
  keys: readonly string[],
  { before }: ChangedFile,
  { env }: Context,
): Promise<void> {
  const noted = await notedKeys(env);
  const had = new Set(before.get('trusted-keys'));
  const known = new Set(noted.flatMap((each) => each.keys));
  const earlier = noted.find((each) => each.url === url)?.keys ?? [];
  const came = keys.filter((key) => !had.has(key) || known.has(key));
  await noteKeys(env, { url, keys: [...new Set([...earlier, ...came])] });
}

/** Keys that a cache tells of, and that have signed that. */
async function publishedKeys(objects: ObjectStore, context: Context): Promise<readonly PublicKey[]> {
  try {
    const { statements = [] } = (await readStatements(objects)) ?? {};
    return statements.map(({ value }) => parsePublicKey(value.key));
  } catch (error) {
    if (!hasCode(error, 'E_INTEGRITY')) throw error;
    say(context, `${printableLine(`warning: ${error.message}`)}\n`);
    return [];
  }
}

function chosenKeys(
  published: readonly PublicKey[],
  { key: given = [], fingerprint: fingerprints = [] }: UseOptions,
  { url }: ObjectStore,
): readonly PublicKey[] {
  const wanted = fingerprints.map((text) => {
    const found = published.find((key) => keyFingerprint(key) === text.replace(/={1,2}$/, ''));
    if (found) return found;
    throw new CarportError('E_SIGNATURE', `\`${url}\` publishes no key with the fingerprint \`${text}\``, {
      cause: new Error(
        published.length > 0
          ? `its keys have ${published.map((key) => `\`${keyFingerprint(key)}\``).join(', ')}`
          : 'it publishes no key',
      ),
      hint: 'ask the maintainer; somebody may stand between you and the cache',
    });
  });
  const all = given.length + wanted.length > 0 ? [...given, ...wanted] : published;
  if (all.length > 0) return [...new Map(all.map((key) => [renderPublicKey(key), key])).values()];
  throw new CarportError('E_USAGE', `\`${url}\` does not tell which keys sign it`, {
    hint: `ask the maintainer for the public key, and give it with \`--key NAME:BASE64\`. Whoever has the secret key has the cache tell: \`carport key publish --cache CACHE --url '${url}' --secret-key FILE\``,
  });
}

/** Throws unless one of the keys has signed something of the cache, or has said itself that it does. */
function requireProof(
  { checked, signers, names }: Proof,
  keys: readonly PublicKey[],
  published: readonly PublicKey[],
  { url }: ObjectStore,
): void {
  if (signers.length > 0) return;
  if (checked > 0) {
    const by =
      names.length > 0 ? `it is signed by ${names.map((name) => `\`${name}\``).join(', ')}` : 'it has no signature';
    throw new CarportError('E_SIGNATURE', `what \`${url}\` has is not signed by ${namesOf(keys)}`, {
      cause: new Error(`${count(checked, 'path')} looked at; ${by}`),
      hint: 'it is the key of another cache: ask the maintainer for the right one',
    });
  }
  const theirs = new Set(published.map(renderPublicKey));
  if (keys.every((key) => theirs.has(renderPublicKey(key)))) return;
  throw new CarportError('E_NOT_FOUND', `there is nothing in \`${url}\` by which its keys could be checked`, {
    cause: new Error('it has no paths, or cannot be listed'),
    hint: 'name a pin or a store path that it has: `--check toolchain`, `--check /nix/store/HASH-NAME`',
  });
}

interface Shown {
  readonly objects: ObjectStore;
  readonly storeDir: string;
  readonly keys: readonly PublicKey[];
  readonly proof: Proof;
  readonly published: readonly PublicKey[];
}

function showKeys({ objects, storeDir, keys, proof }: Shown, context: Context): void {
  const lines = [
    `\`${objects.url}\` is a binary cache for \`${storeDir}\`. Its keys:`,
    ...keys.flatMap((key) => [
      `  ${key.name}`,
      `    public key   ${renderPublicKey(key)}`,
      `    fingerprint  ${keyFingerprint(key)}`,
      `    ${stateOf(key, proof)}`,
    ]),
  ];
  say(context, lines.map((line) => `${printable(line)}\n`).join(''));
}

function stateOf(key: PublicKey, { checked, signers }: Proof): string {
  if (signers.includes(key)) return `has signed what is there (${count(checked, 'path')} looked at)`;
  return checked > 0
    ? `has signed none of the ${count(checked, 'path')} that were looked at`
    : 'no path was looked at: the first pull shows whether it has signed them';
}

async function requireConsent(yes: boolean, isSaid: boolean, { url }: ObjectStore, context: Context): Promise<void> {
  if (yes && isSaid) return;
  if (yes) {
    throw new CarportError('E_USAGE', '`--yes` does not say which key is right', {
      hint: 'give it, as you have it from the maintainer: `--key NAME:BASE64` or `--fingerprint SHA256:…`',
    });
  }
  await confirm(
    {
      question: `Whoever has these keys can have you run anything. Compare the fingerprints with what the maintainer tells. Type \`yes\` to trust them and to use \`${url}\`: `,
      answer: 'yes',
      otherwise: 'nothing was written',
      noTerminal: 'nobody is here to compare keys: there is no terminal to ask at',
      hint: 'give the key that you have from the maintainer, and `--yes`: `--key NAME:BASE64` or `--fingerprint SHA256:…`',
    },
    context,
  );
}

async function report(
  { file, added, removed }: ChangedFile,
  { url, keys, proof }: { readonly url: string; readonly keys: readonly PublicKey[]; readonly proof: Proof },
  options: UseOptions,
  context: Context,
): Promise<void> {
  const changed = added.length + removed.length > 0;
  if (options.json) {
    const shown = keys.map((key) => ({
      ...{ name: key.name, publicKey: renderPublicKey(key), fingerprint: keyFingerprint(key) },
      verified: proof.signers.includes(key),
    }));
    return writeJson(context.stdout, {
      url,
      keys: shown,
      checked: proof.checked,
      file,
      changed,
      added,
      dryRun: options.dryRun,
    });
  }
  await writeLines(context.stdout, added.map(printable));
  const verb = options.dryRun ? 'would be written to' : 'written to';
  note(context, options, changed ? `${verb} \`${file}\`` : `\`${file}\` has all of that already`);
  await warnOfOthers(context);
}

/** Settings of another place may stand before the file. */
async function warnOfOthers(context: Context): Promise<void> {
  const settings = await readSettings({}, context);
  for (const key of ['from', 'trusted-keys'] as const) {
    const { kind, name } = settings[key].origin;
    if (kind === 'variable' || (kind === 'file' && name.endsWith('carport.toml'))) {
      say(context, `${printableLine(`warning: \`${key}\` of \`${name}\` counts here, and not your settings`)}\n`);
    }
  }
}

async function remove(url: CacheUrl, options: UseOptions, context: Context): Promise<void> {
  await withCache(url, { options, context }, async ({ objects }) => {
    const noted = await notedKeys(context.env);
    const others = new Set(noted.filter((each) => each.url !== objects.url).flatMap(({ keys }) => keys));
    const known = noted.find((each) => each.url === objects.url)?.keys;
    const came = known ?? [];
    const keys = [...(options.key ?? []).map(renderPublicKey), ...came.filter((key) => !others.has(key))];
    const changes = [
      { key: 'from', remove: [objects.url, objects.url.replace(/\/?$/, '/')] },
      { key: 'trusted-keys', remove: keys },
    ];
    const { file, added, removed } = await changeUserFile(context.env, changes, options);
    if (!options.dryRun) await forgetKeys(context.env, objects.url);
    const changed = added.length + removed.length > 0;
    if (options.json) {
      return writeJson(context.stdout, { url: objects.url, keys, file, changed, removed, dryRun: options.dryRun });
    }
    await writeLines(context.stdout, removed.map(printable));
    const verb = options.dryRun ? 'would be taken out of' : 'taken out of';
    note(context, options, changed ? `${verb} \`${file}\`` : `\`${file}\` does not have it`);
    if (came.length === 0 && changed && keys.length === 0) {
      const why = known === undefined ? 'it is not known which came with it' : 'they were there before it';
      note(context, options, `trusted keys stay: ${why}; \`--key NAME:BASE64\` names those that are to go`);
    }
  });
}

/** Pins of a web server, which tells its paths by nothing else. */
async function listedSamples(objects: ObjectStore): Promise<readonly Sample[]> {
  if (isListable(objects)) return [];
  const list = await readPinList(objects).catch(insteadOf('E_INTEGRITY', undefined));
  return (list?.names ?? []).slice(0, MOST_SAMPLES).map((pin) => ({ pin }));
}

function sampleOf(text: string): Sample {
  if (isHashPart(text)) return { hashPart: text };
  if (text.startsWith('/') && isStorePath(text, storeDirOf(text))) return { hashPart: hashPartOf(text) };
  const pin = parsePinReference(text);
  if (pin) return { pin: pin.name };
  throw new CarportError('E_USAGE', `\`${text}\` is neither a pin nor a store path`, {
    hint: 'name what the cache has: `--check toolchain`, or `--check /nix/store/HASH-NAME`',
  });
}

function namesOf(keys: readonly PublicKey[]): string {
  return keys.map(({ name }) => `\`${name}\``).join(', ');
}

function namesSecretKey(): CarportError {
  return new CarportError('E_USAGE', 'the URL names a secret key, which readers do not need', {
    hint: 'leave `secret-key` out of it',
  });
}
