/** What an upload tells of a file: the fields of the form that PyPI's upload API takes (docs.pypi.org, "Upload API"). */

import { parseWheelName } from '../../../lib/python/file-name.js';
import { parseMetadata } from '../../../lib/python/metadata.js';

/** A field of the form. A name may come more than once. */
export type FormField = readonly [name: string, value: string];

/** A file that is to be sent, as it was read. */
export interface UploadedFile {
  readonly name: string;
  /** 64 hex digits each. */
  readonly sha256: string;
  readonly blake2b256: string;
  /** `METADATA` or `PKG-INFO`. */
  readonly document: Uint8Array;
}

/** Fields of the metadata that the form has under another name; the others only lose their capitals and dashes. */
const RENAMED: Readonly<Record<string, string>> = {
  classifier: 'classifiers',
  'project-url': 'project_urls',
};

/** Fields of the metadata that the form knows, and no other: some indexes refuse what they do not know. */
const KNOWN = new Set([
  ...['metadata-version', 'name', 'version', 'platform', 'supported-platform', 'summary', 'description', 'keywords'],
  ...['home-page', 'download-url', 'author', 'author-email', 'maintainer', 'maintainer-email', 'license', 'classifier'],
  ...['requires', 'provides', 'obsoletes', 'requires-dist', 'provides-dist', 'obsoletes-dist', 'requires-python'],
  ...['requires-external', 'project-url', 'description-content-type', 'provides-extra', 'dynamic'],
  ...['license-expression', 'license-file', 'import-name', 'import-namespace'],
]);

/** All fields but the file itself, in the order of the metadata. */
export function uploadFields({ name, sha256, blake2b256, document }: UploadedFile): readonly FormField[] {
  const { fields, body } = parseMetadata(`\`${name}\``, document);
  const isWheel = name.endsWith('.whl');
  const told = fields.flatMap(({ name: header, value }): readonly FormField[] => {
    const key = header.toLowerCase();
    return KNOWN.has(key) ? [[RENAMED[key] ?? key.replaceAll('-', '_'), value]] : [];
  });
  const hasDescription = told.some(([key]) => key === 'description');
  return [
    [':action', 'file_upload'],
    ['protocol_version', '1'],
    ...told,
    ...(body.trim() === '' || hasDescription ? [] : [['description', body] as const]),
    ['filetype', isWheel ? 'bdist_wheel' : 'sdist'],
    ['pyversion', isWheel ? parseWheelName(name).python.join('.') : 'source'],
    ['sha256_digest', sha256],
    ['blake2_256_digest', blake2b256],
  ];
}
