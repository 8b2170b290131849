/** A server of Drone, which signs YAML with the secret of a repository that only it knows. */

import { isUtf8 } from 'node:buffer';
import * as v from 'valibot';
import { CarportError, formatError } from '../../lib/errors.js';
import { explainMissingTls } from '../../lib/http/failure.js';
import type { HttpResponse, Transport } from '../../lib/http/transport.js';
import { collectSmall } from '../../lib/object-store/object-store.js';
import { parseStrictJson } from '../../lib/strict-json.js';

/** A repository of a server, and who asks. */
export interface DroneRepository {
  readonly server: URL;
  readonly owner: string;
  readonly name: string;
  readonly token: string;
}

/** Bytes of an answer. */
const MAX_ANSWER = 64 * 1024;

const Answer = v.object({ data: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)) });

/**
 * Has the server sign a YAML text, as `drone sign` does; gives hex digits. Redirects are not followed, so the token goes to this
 * server only. Throws `E_CREDENTIALS`, `E_NOT_FOUND` and `E_REMOTE` for a refusal, `E_FORMAT` for another answer, and for what is not UTF-8.
 */
export async function signByDrone(send: Transport, repository: DroneRepository, yaml: Uint8Array): Promise<string> {
  const { server, owner, name, token } = repository;
  if (!isUtf8(yaml)) {
    throw formatError('the YAML', 'it is not UTF-8, and what the server is sent would be other bytes', {
      hint: 'save it as UTF-8',
    });
  }
  const base = server.pathname.replace(/\/+$/, '');
  const url = new URL(`${base}/api/repos/${encodeURIComponent(owner)}/${encodeURIComponent(name)}/sign`, server);
  const response = await send({
    ...{ method: 'POST', url },
    headers: { accept: 'application/json', authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: Buffer.from(JSON.stringify({ data: Buffer.from(yaml).toString('utf8') })),
  });
  if (response.status !== 200) throw refused(url, response, `${owner}/${name}`);
  const answer = await collectSmall(response.body, MAX_ANSWER, `the answer of ${url.host}`);
  return parseStrictJson(`the answer of \`${url.host}\``, answer.toString('utf8'), Answer).data;
}

function refused(url: URL, response: HttpResponse, repository: string): CarportError {
  response.discard();
  const { status, refusal = '' } = response;
  const missingTls = explainMissingTls(url, refusal);
  if (missingTls) return missingTls;
  const cause = new Error(`POST ${url.pathname}: status ${status}`);
  if (status === 401 || status === 403) {
    return new CarportError(
      'E_CREDENTIALS',
      `\`${url.host}\` refuses the token, or lets it not sign \`${repository}\``,
      {
        cause,
        hint: 'DRONE_TOKEN is on the page of your account there; signing needs the right to write to the repository',
      },
    );
  }
  if (status === 404) {
    return new CarportError(
      'E_NOT_FOUND',
      `\`${url.host}\` has no repository \`${repository}\`, or not for this token`,
      {
        cause,
        hint: 'see `--repository OWNER/NAME`, and whether it is active there',
      },
    );
  }
  return new CarportError('E_REMOTE', `\`${url.host}\` signs nothing`, {
    cause,
    hint: 'is DRONE_SERVER the address of Drone?',
  });
}
