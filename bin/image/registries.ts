/** Registries that a command speaks to. */

import { parseReference, type RegistryReference } from '../../lib/oci/reference.js';
import { createCredentials } from '../../lib/oci/registry/credentials.js';
import { openRepository, type Repository } from '../../lib/oci/registry/repository.js';
import type { Emit, WarningEvent } from '../../lib/work.js';
import type { Context } from '../cli/context.js';
import { warnPeople } from '../cli/warnings.js';
import { openClient } from '../reporters/http-client.js';
import type { Settings } from '../settings/setting.js';

/** What commands that speak to registries have in common. */
export interface RegistryUse {
  readonly context: Context;
  readonly options: { readonly plainHttp?: boolean; readonly settings: Pick<Settings, 'retry-seconds'> };
  readonly signal: AbortSignal;
  readonly emit?: Emit<WarningEvent>;
}

/** A repository, and which of its images is meant. */
export interface OpenReference {
  readonly store: Repository;
  readonly reference: RegistryReference;
  /** The other repository of the registry that blobs are taken from. */
  readonly mountFrom: string | undefined;
}

interface OpenOptions {
  readonly writes?: boolean;
  readonly removes?: boolean;
  readonly from?: RegistryReference | undefined;
}

/** Opens the repository that a text names. `from` is an image whose blobs are taken where they are in the same registry. */
export function openRegistry(
  text: string,
  { context, options, signal, emit = warnPeople(context) }: RegistryUse,
  { writes = false, removes = false, from }: OpenOptions = {},
): OpenReference {
  const reference = parseReference(text, { plainHttp: options.plainHttp ?? false });
  const isBeside = from?.origin.origin === reference.origin.origin && from.repository !== reference.repository;
  const mountFrom = isBeside ? from.repository : undefined;
  const http = openClient({ context, options, signal, emit });
  const login = createCredentials(context.env);
  const readsToo = mountFrom === undefined ? [] : [mountFrom];
  return { reference, mountFrom, store: openRepository({ reference, http, writes, removes, readsToo, login }) };
}
