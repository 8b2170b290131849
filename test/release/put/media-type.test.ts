import { expect, it } from 'vitest';
import { mediaTypeOf } from '#release/put/media-type.js';

it.each([
  ['garage', 'application/octet-stream'],
  ['garage-v1.2.3', 'application/octet-stream'],
  ['garage.exe', 'application/octet-stream'],
  ['garage.constructor', 'application/octet-stream'],
  ['garage.', 'application/octet-stream'],
  ['source.tar.gz', 'application/gzip'],
  ['source.TAR.XZ', 'application/x-xz'],
  ['nar.zst', 'application/zstd'],
  ['tool.zip', 'application/zip'],
  ['sbom.json', 'application/json'],
  ['notes.txt', 'text/plain; charset=utf-8'],
  ['page.html', 'text/html; charset=utf-8'],
  ['tool.wasm', 'application/wasm'],
])('takes %s for %s', (name, type) => {
  expect(mediaTypeOf(name)).toBe(type);
});
