import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { missingProgram } from './programs.js';

export { type Registry, startRegistry } from '#dev/registry.js';

/** Where `.ci/run` puts it, where it is not on PATH. */
const INSTALLED = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'carport/peers/bin/crane');
export const CRANE = existsSync(INSTALLED) ? INSTALLED : 'crane';

/** Why tests with registries cannot run here. */
export function missingForImages(): string | undefined {
  const missing = missingProgram('docker-registry', 'skopeo', 'bwrap', 'gcc');
  return missing ?? (existsSync(INSTALLED) ? undefined : '`crane` is not where `.ci/run` puts it');
}
