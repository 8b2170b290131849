/** `Content-Type` by names. */

/** What browsers take a file for, by the end of its name. What is not here is bytes. */
const BY_ENDING: Readonly<Record<string, string>> = {
  '7z': 'application/x-7z-compressed',
  apk: 'application/vnd.android.package-archive',
  bz2: 'application/x-bzip2',
  css: 'text/css; charset=utf-8',
  deb: 'application/vnd.debian.binary-package',
  gz: 'application/gzip',
  html: 'text/html; charset=utf-8',
  json: 'application/json',
  metadata: 'text/plain; charset=utf-8',
  md: 'text/markdown; charset=utf-8',
  pdf: 'application/pdf',
  rpm: 'application/x-rpm',
  svg: 'image/svg+xml',
  tar: 'application/x-tar',
  tgz: 'application/gzip',
  toml: 'application/toml',
  txt: 'text/plain; charset=utf-8',
  wasm: 'application/wasm',
  xml: 'application/xml',
  xz: 'application/x-xz',
  yaml: 'application/yaml',
  yml: 'application/yaml',
  zip: 'application/zip',
  zst: 'application/zstd',
};

/** The `Content-Type` of a file, by its name alone. */
export function mediaTypeOf(name: string): string {
  const ending = /\.(?<ending>[0-9a-z]+)$/.exec(name.toLowerCase())?.groups?.ending ?? '';
  return Object.hasOwn(BY_ENDING, ending) ? BY_ENDING[ending]! : 'application/octet-stream';
}
