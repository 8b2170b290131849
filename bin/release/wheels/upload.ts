/** The command `release upload-pypi`. */

import { tmpdir } from 'node:os';
import { CarportError } from '../../../lib/errors.js';
import { makePrivateDirectory } from '../../../lib/filesystem/private-directory.js';
import type { HttpClient } from '../../../lib/http/client.js';
import { requireTls } from '../../../lib/http/require-tls.js';
import { openPackageIndex } from '../../../release/wheels/upload/package-index.js';
import { type FileToUpload, type Uploaded, uploadFiles } from '../../../release/wheels/upload/session.js';
import { type Context, note, writeJson, writeLines } from '../../cli/context.js';
import { interruptible } from '../../cli/interrupt.js';
import { warnPeople } from '../../cli/warnings.js';
import { withCache } from '../../cli/with-caches.js';
import { withActivity } from '../../reporters/activity.js';
import { openClient } from '../../reporters/http-client.js';
import { requireSource } from '../../settings/places.js';
import { releaseTrustOf } from '../settings.js';
import { indexAddress } from './address.js';
import type { UploadOptions } from './command.js';
import { authorizationFor } from './login.js';
import { filesOfBucket, filesOfPaths } from './upload-files.js';

/** Sends what a release has, or files of this machine. */
export async function upload(words: readonly string[], options: UploadOptions, context: Context): Promise<void> {
  const to = indexAddress(options.to, '--to');
  const simple = await options.indexUrl;
  for (const url of simple ? [to, simple] : [to]) requireTls(url, options.plainHttp);
  const authorization = await authorizationFor(to, options, context);
  const send = (files: readonly FileToUpload[]) =>
    withActivity(context, options, ({ emit }) =>
      withHttp(options, context, (http, signal) => {
        const index = openPackageIndex({ to, simple, authorization, send: http.transport() });
        const { skipExisting = false, dryRun = false } = options;
        return uploadFiles(index, { files, skipExisting, dryRun }, { emit, signal });
      }),
    );
  const done = words.some(isFile)
    ? await send(await filesOfPaths(words))
    : await uploadRelease(onlyVersion(words), options, context, send);
  await tell(done, to, options, context);
}

async function tell(done: readonly Uploaded[], to: URL, options: UploadOptions, context: Context): Promise<void> {
  const { dryRun = false } = options;
  if (options.json) return writeJson(context.stdout, { dryRun, index: to.href, files: done });
  for (const { name, state } of done) {
    note(context, options, `${state === 'uploaded' && dryRun ? 'would upload' : state}: ${name}`);
  }
  await writeLines(
    context.stdout,
    done.map(({ name }) => name),
  );
}

async function uploadRelease(
  version: string,
  options: UploadOptions,
  context: Context,
  send: (files: readonly FileToUpload[]) => Promise<readonly Uploaded[]>,
): Promise<readonly Uploaded[]> {
  const { policy } = await releaseTrustOf(options.settings, options);
  return withCache(requireSource(options.settings), { options, context }, async ({ objects }) => {
    const scratch = await makePrivateDirectory(context.env.TMPDIR || tmpdir());
    try {
      return await send(await filesOfBucket(objects, policy, version, scratch.path));
    } finally {
      await scratch.remove();
    }
  });
}

/** Whether a word names files and no version, which has no `/` and no such ending. */
function isFile(word: string): boolean {
  return /[/*?{]|\.whl$|\.tar\.gz$/.test(word);
}

function onlyVersion(words: readonly string[]): string {
  const [version = '', ...more] = words;
  if (more.length === 0) return version;
  throw new CarportError('E_USAGE', 'several versions are named', {
    hint: 'send one release after the other; a file is named by its path, such as `./dist/demo-1.0-py3-none-any.whl`',
  });
}

async function withHttp<T>(
  options: UploadOptions,
  context: Context,
  work: (http: HttpClient, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const http = openClient({ context, options, signal: stop.signal, emit: warnPeople(context) });
  try {
    return await interruptible(
      () => stop.abort(),
      () => work(http, stop.signal),
    );
  } finally {
    http.close();
  }
}
