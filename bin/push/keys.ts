/** The keys of a push, and what happens where there are none. */

import { CarportError } from '../../lib/errors.js';
import type { SecretKey } from '../../lib/signing/key.js';
import { type Context, note, writeJsonLine } from '../cli/context.js';
import { isInCi } from '../reporters/ci-log.js';
import { loadSecretKeys } from '../settings/keys.js';
import { requireCache } from '../settings/places.js';
import type { PushOptions } from './options.js';

/** Reads the keys that a push signs with. Throws `E_CREDENTIALS` in CI where there are none, and that is not meant. */
export async function loadPushKeys(
  {
    settings,
    dryRun = false,
    allowUnsigned,
    skipWithoutKey,
  }: Pick<PushOptions, 'allowUnsigned' | 'skipWithoutKey'> & {
    readonly settings: Pick<PushOptions['settings'], 'to' | 'secret-key-files'>;
    readonly dryRun?: boolean;
  },
  { env }: Context,
): Promise<readonly SecretKey[]> {
  const { secretKeyFiles } = requireCache(settings.to, 'to');
  const keys = await loadSecretKeys([...settings['secret-key-files'].value, ...secretKeyFiles]);
  if (keys.length === 0 && !allowUnsigned && !skipWithoutKey && !dryRun && isInCi(env)) throw unsignedError();
  return keys;
}

function unsignedError(): CarportError {
  return new CarportError('E_CREDENTIALS', 'there is no key to sign with, and readers refuse what nobody has signed', {
    hint: 'give the key in the variable `CARPORT_SECRET_KEY`, or its file: `--secret-key FILE`. For builds that see no secrets there is `--skip-without-key`; `--allow-unsigned` pushes all the same',
  });
}

/** Whether nothing is to be pushed, since there is no key and the options ask for that then. Says so. */
export function isWithoutKey(
  keys: readonly SecretKey[],
  { skipWithoutKey, ...options }: Pick<PushOptions, 'skipWithoutKey' | 'json' | 'quiet'>,
  context: Context,
): boolean {
  if (!skipWithoutKey || keys.length > 0) return false;
  const message = 'nothing is pushed: there is no key to sign with, as in builds that see no secrets';
  if (options.json) writeJsonLine(context.stdout, { type: 'skipped', reason: 'no-key', message, result: 'skipped' });
  else note(context, options, message);
  return true;
}
