/** Commands for the newest release, once for each system: a script shows those of the platform that is chosen. */

import type { Release } from '../../release/catalog/model.js';
import { SUMS } from '../../release/layout.js';
import { pathOfKey } from '../links.js';
import { type Content, type Markup, markup } from '../markup.js';
import { type Platform, platformOf } from '../platform.js';
import { type Fetched, fetchCommand, fetchedOf, PLACES, verifyCommand } from './command.js';
import type { FileRow } from './files.js';
import { sumsPath } from './origin.js';

/** What commands are made of, beside the files. */
export interface CommandOptions {
  /** An address on the web, without a slash at its end. */
  readonly baseUrl: string | undefined;
  readonly minisignKey: string | undefined;
}

/** What to type on a system, in the words of its people. */
const WHERE: Readonly<Record<Platform['system'], string>> = {
  linux: 'in a shell',
  macos: 'in a shell',
  windows: 'in PowerShell',
  other: 'in a shell',
};

const SYSTEM_NAMES: Readonly<Record<Platform['system'], string>> = {
  linux: 'Linux',
  macos: 'macOS',
  windows: 'Windows',
  other: 'other systems',
};

/** A fold with the commands; nothing where there are none. */
export function commandsFold(release: Release, rows: readonly FileRow[], options: CommandOptions): Content {
  const commands = systemsOf(rows, options.baseUrl).map(command);
  const check = checkOf(release, options);
  if (commands.length === 0 && check === undefined) return undefined;
  return markup`<details class="commands">
<summary>${commands.length === 0 ? 'Check the signature' : 'Commands to fetch and check it'}</summary>
${commands}${check}</details>
`;
}

interface SystemCommand {
  readonly system: Platform['system'];
  readonly label: string;
  readonly first: Fetched;
  /** Whether the hash of each file is known. */
  readonly isChecked: boolean;
}

/** Each system with its first file. */
function systemsOf(rows: readonly FileRow[], baseUrl: string | undefined): readonly SystemCommand[] {
  if (baseUrl === undefined) return [];
  const found = new Map<Platform['system'], SystemCommand>();
  for (const { target, file } of rows) {
    const path = pathOfKey(file.key);
    if (path === undefined) continue;
    const { system, label } = platformOf(target);
    const fetched = fetchedOf(file, `${baseUrl}/${path}`);
    const before = found.get(system);
    const isChecked = fetched.sha256 !== undefined && before?.isChecked !== false;
    found.set(system, { ...(before ?? { system, label, first: fetched }), isChecked });
  }
  return [...found.values()];
}

function command({ system, label, first, isChecked }: SystemCommand): Markup {
  const { name, url } = PLACES;
  const pattern = fetchCommand(system, isChecked ? PLACES : { name, url });
  return markup`<div data-system="${system}">
<p><bdi class="label">${label}</bdi>, ${WHERE[system]}:</p>
<pre data-copy="the command for ${SYSTEM_NAMES[system]}" data-pattern="${pattern}"><code>${fetchCommand(system, first)}</code></pre>
</div>
`;
}

/** How to make sure of the checksums. */
function checkOf(release: Release, { baseUrl, minisignKey }: CommandOptions): Content {
  const sums = sumsPath(release);
  if (sums === undefined || minisignKey === undefined) return undefined;
  const text = verifyCommand(minisignKey, baseUrl === undefined ? undefined : `${baseUrl}/${sums}`);
  return markup`<p>To make sure of the checksums (<code>minisign</code> prints the version that was signed, which must be <bdi>${release.version}</bdi>):</p>
<pre data-copy="the check of ${SUMS}"><code>${text}</code></pre>
`;
}
