/** The pins that were pulled into the system's Nix, and the roots that keep their paths there. */

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { namesIn } from '../../filesystem/exists.js';
import { makeDirectory } from '../../filesystem/make-directory.js';
import { DEFAULT_STORE_DIR } from '../../nix/store-path.js';
import { stateDirectory } from '../../state-directory.js';
import { type PinStore, type PulledPin, pinFileName, removePulledPin, writePulledPin } from '../own/pulled-pins.js';
import { makeNixRoot } from './import.js';

/** The records of pins that were pulled into the system's Nix, and beside them links, which are roots of Nix. */
export function nixPins(env: NodeJS.ProcessEnv): PinStore {
  const pinsDir = join(stateDirectory(env), 'nix-pins');
  return { storeDir: env.NIX_STORE_DIR || DEFAULT_STORE_DIR, layout: { pinsDir } };
}

/** Writes down what a pin stands for, and makes its paths roots of Nix. */
export async function keepNixPin(pin: PulledPin, env: NodeJS.ProcessEnv): Promise<void> {
  const pins = nixPins(env);
  await makeDirectory(pins.layout.pinsDir);
  const links = pin.storePaths.map((_, index) => `${linkName(pinFileName(pin))}${index}`);
  for (const [index, path] of pin.storePaths.entries()) {
    await makeNixRoot(path, join(pins.layout.pinsDir, links[index]!), env);
  }
  await writePulledPin(pins, pin);
  const old = (await linksOf(pins, pinFileName(pin))).filter((name) => !links.includes(name));
  for (const name of old) await rm(join(pins.layout.pinsDir, name), { force: true });
}

/** Forgets a pin that was pulled into Nix, which may then collect its paths. Tells whether it was there. */
export async function forgetNixPin(reference: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  const pins = nixPins(env);
  const records = (await namesIn(pins.layout.pinsDir)).filter((name) => name.startsWith(`${reference}~`));
  if (!(await removePulledPin(pins, reference))) return false;
  for (const record of records.filter((name) => name.endsWith('.json'))) {
    for (const name of await linksOf(pins, record)) await rm(join(pins.layout.pinsDir, name), { force: true });
  }
  return true;
}

async function linksOf({ layout: { pinsDir } }: PinStore, record: string): Promise<readonly string[]> {
  return (await namesIn(pinsDir)).filter((name) => name.startsWith(linkName(record)) && !name.endsWith('.json'));
}

/** What the names of a record's links begin with. */
function linkName(record: string): string {
  return `${record.replace(/\.json$/, '')}.`;
}
