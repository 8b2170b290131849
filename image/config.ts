/** The config of an image: what runs, and of which layers the root is made. Source: image-spec 1.1, config.md. */

import { type ImageConfig, renderDocument } from '../lib/oci/documents.js';
import type { Platform } from '../lib/oci/platform.js';
import type { Layer } from '../lib/workers/layers/layer.js';

/** What an image says of how it is run. What is not given is the base's. */
export interface RunSettings {
  readonly entrypoint?: readonly string[] | undefined;
  readonly cmd?: readonly string[] | undefined;
  /** `NAME=value`, each name once. */
  readonly env: readonly string[];
  readonly user?: string | undefined;
  readonly workdir?: string | undefined;
  /** `name=value`. */
  readonly labels: readonly string[];
}

/** A layer, and what it is, for people. */
export interface MadeLayer extends Layer {
  readonly comment: string;
}

export interface ConfigRequest {
  readonly platform: Platform;
  readonly run: RunSettings;
  /** RFC 3339, of the image; layers have no time. */
  readonly created: string;
  readonly base?: ImageConfig | undefined;
  readonly layers: readonly MadeLayer[];
}

/** The config as bytes, which follow from the request. */
export function renderConfig({ platform, run, created, base, layers }: ConfigRequest): Uint8Array {
  const history = layers.map(({ comment }) => ({ created, created_by: 'carport image build', comment }));
  const { architecture, os, variant } = platform;
  return renderDocument({
    created,
    ...{ architecture, os, ...(variant !== undefined && { variant }) },
    config: runConfig(run, base?.config ?? {}),
    rootfs: { type: 'layers', diff_ids: [...(base?.rootfs.diff_ids ?? []), ...layers.map(({ diffId }) => diffId)] },
    history: [...(base?.history ?? historyOf(base)), ...history],
  });
}

/** A base without a history has one all the same: as many entries as layers. */
function historyOf(base: ImageConfig | undefined): readonly object[] {
  return (base?.rootfs.diff_ids ?? []).map(() => ({}));
}

function runConfig(run: RunSettings, base: Readonly<Record<string, unknown>>): object {
  const { entrypoint, cmd, user, workdir } = run;
  const env = merged(textsOf(base.Env), run.env);
  const labels = Object.fromEntries(
    [
      ...Object.entries((base.Labels as Readonly<Record<string, string>> | null) ?? {}),
      ...run.labels.map(splitPair),
    ].sort(([a], [b]) => (a! < b! ? -1 : 1)),
  );
  const { Env: _, Labels: __, Cmd, Entrypoint, User, WorkingDir, ...others } = base;
  // What a base runs with its own program means nothing to another one.
  const inherited = entrypoint === undefined ? Cmd : undefined;
  return {
    ...others,
    ...optional('User', user ?? User),
    ...optional('Env', env.length > 0 ? env : undefined),
    ...optional('Entrypoint', entrypoint ?? Entrypoint),
    ...optional('Cmd', cmd ?? inherited),
    ...optional('WorkingDir', workdir ?? WorkingDir),
    ...optional('Labels', Object.keys(labels).length > 0 ? labels : undefined),
  };
}

function optional(name: string, value: unknown): object {
  return value === undefined || value === null || value === '' ? {} : { [name]: value };
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((each): each is string => typeof each === 'string') : [];
}

/** Later values in the place of earlier ones of the same name. */
function merged(base: readonly string[], more: readonly string[]): readonly string[] {
  return [...new Map([...base, ...more].map((pair) => [splitPair(pair)[0], pair])).values()];
}

function splitPair(pair: string): readonly [name: string, value: string] {
  const at = pair.indexOf('=');
  return at === -1 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
}
