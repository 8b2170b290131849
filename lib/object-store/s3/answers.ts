/** Which document answers which request of the SDK. */

/**
 * The documents that answer requests of the SDK, by its names of commands. A server that does not know a query or header
 * takes the request for another, and what it answers then is not the answer to this one: the SDK's parser, which looks at
 * no name, would read it as an answer with nothing in it.
 */
const DOCUMENTS: Readonly<Record<string, RegExp>> = {
  CompleteMultipartUploadCommand: /^CompleteMultipartUploadResult$/,
  CopyObjectCommand: /^CopyObjectResult$/,
  // rclone's has no `Result`.
  CreateMultipartUploadCommand: /^InitiateMultipartUpload(Result)?$/,
  DeleteObjectsCommand: /^DeleteResult$/,
  GetBucketLifecycleConfigurationCommand: /^LifecycleConfiguration$/,
  GetBucketWebsiteCommand: /^WebsiteConfiguration$/,
  ListMultipartUploadsCommand: /^ListMultipartUploadsResult$/,
  ListObjectsV2Command: /^ListBucketResult$/,
  ListPartsCommand: /^ListPartsResult$/,
};

/** For these "no content" says that there is none, as Garage does. */
const MAY_BE_NONE = ['GetBucketWebsiteCommand', 'GetBucketLifecycleConfigurationCommand'];

/**
 * What a server should have said that gives a good answer to something else; `undefined` where it answers this command.
 * `root` is the first element of its document.
 */
export function refusalInstead(command: string, status: number, root: string | undefined): string | undefined {
  const document = DOCUMENTS[command];
  if (document === undefined || (root !== undefined && document.test(root))) return undefined;
  if (status === 204 && root === undefined && MAY_BE_NONE.includes(command)) return undefined;
  // Every S3 API has listings: this is none.
  if (command === 'ListObjectsV2Command') return '';
  const answer = root === undefined ? 'no document' : `the document ${root}`;
  const message = `the server answers ${status} with ${answer}, which is not the answer to this request`;
  return `<?xml version="1.0"?><Error><Code>NotImplemented</Code><Message>${message}</Message></Error>`;
}
