/**
 * Keys that images are signed with: ECDSA on P-256, which is what all programs that check signatures of images know. As openssl
 * writes them (PKCS #8, SEC 1), and as cosign does: encrypted by a password (scrypt and NaCl's secretbox).
 */

import { createHash, createPrivateKey, createPublicKey, type KeyObject, scrypt } from 'node:crypto';
import nacl from 'tweetnacl';
import * as v from 'valibot';
import { CarportError, formatError, isErrno } from '../../lib/errors.js';

/** A key to sign with. It is never printed: `JSON.stringify` shows the hint. */
export interface ImageKey {
  readonly privateKey: KeyObject;
  readonly publicKey: ImagePublicKey;
}

export interface ImagePublicKey {
  readonly key: KeyObject;
  /** What a bundle names it by: base 64 of the hash of its DER. It proves nothing. */
  readonly hint: string;
}

const CURVE = 'prime256v1';

/** Reads the text of a key file. `password` is asked for where the key is encrypted. Errors never show the key. */
export async function readImageKey(text: string, place: string, password: () => string | undefined): Promise<ImageKey> {
  const label = /-----BEGIN ([A-Z ]+)-----/.exec(text)?.[1];
  if (label === undefined) {
    throw formatError(place, 'is no key to sign images with', {
      hint: 'it is PEM: `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out image.key` makes one, and so does `cosign generate-key-pair`',
    });
  }
  if (!label.endsWith('PRIVATE KEY')) {
    const kind = label.endsWith('PUBLIC KEY') ? 'a public key, and no secret one' : `${label}, and no secret key`;
    throw formatError(place, `is ${kind}`, { hint: 'what is secret signs; `image verify` takes the public key' });
  }
  const privateKey = /^ENCRYPTED (SIGSTORE|COSIGN) PRIVATE KEY$/.test(label)
    ? await decryptCosign(text, place, password())
    : openKey(text, place, password);
  checkCurve(privateKey, place);
  const key = { publicKey: publicKeyOf(createPublicKey(privateKey)) };
  // Not enumerable, so that no logger meets it.
  Object.defineProperty(key, 'privateKey', { value: privateKey });
  return key as ImageKey;
}

/** Reads a public key in PEM. */
export function readImagePublicKey(text: string, place: string): ImagePublicKey {
  if (/PRIVATE KEY-----/.test(text))
    throw formatError(place, 'is a secret key, and no public one', {
      hint: '`openssl pkey -in FILE -pubout` or `cosign public-key --key FILE` prints its public key',
    });
  let key: KeyObject;
  try {
    key = createPublicKey(text);
  } catch {
    throw formatError(place, 'is no public key in PEM');
  }
  checkCurve(key, place);
  return publicKeyOf(key);
}

function publicKeyOf(key: KeyObject): ImagePublicKey {
  const der = key.export({ format: 'der', type: 'spki' });
  return { key, hint: createHash('sha256').update(der).digest('base64') };
}

function openKey(text: string, place: string, password: () => string | undefined): KeyObject {
  const isEncrypted = /ENCRYPTED/.test(text);
  const passphrase = isEncrypted ? password() : undefined;
  if (isEncrypted && passphrase === undefined) throw noPassword(place);
  try {
    return createPrivateKey({ key: text, format: 'pem', ...(passphrase !== undefined && { passphrase }) });
  } catch (error) {
    if (isEncrypted && isErrno(error, 'ERR_OSSL_EVP_UNSUPPORTED')) {
      throw new CarportError('E_UNSUPPORTED', `${place} is encrypted as this OpenSSL does not do any more`, {
        hint: '`openssl pkcs8 -topk8 -v2 aes256 -provider legacy -provider default -in FILE -out NEW` encrypts it as it is done now',
      });
    }
    throw isEncrypted ? wrongPassword(place) : formatError(place, 'is a damaged key');
  }
}

function checkCurve(key: KeyObject, place: string): void {
  if (key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === CURVE) return;
  const kind = key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType ?? 'unknown';
  throw new CarportError('E_UNSUPPORTED', `${place}: images are signed by ECDSA on P-256, and this key is ${kind}`, {
    hint: '`openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out image.key` makes one: other programs check no others for sure',
  });
}

const base64 = v.pipe(v.string(), v.regex(/^[A-Za-z0-9+/]*={0,2}$/));
const cosignKey = v.object({
  kdf: v.object({
    name: v.literal('scrypt'),
    params: v.object({ N: v.number(), r: v.number(), p: v.number() }),
    salt: base64,
  }),
  cipher: v.object({ name: v.literal('nacl/secretbox'), nonce: base64 }),
  ciphertext: base64,
});

/** Bytes of memory that a password's key may take: cosign's takes 64 MiB. */
const MOST_MEMORY = 512 * 1024 * 1024;

async function decryptCosign(text: string, place: string, password: string | undefined): Promise<KeyObject> {
  if (password === undefined) throw noPassword(place);
  const body = /-----BEGIN [A-Z ]+-----([A-Za-z0-9+/=\s]+)-----END/.exec(text)?.[1] ?? '';
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(body, 'base64').toString('utf8'));
  } catch {
    throw formatError(place, 'is a damaged key');
  }
  const parsed = v.safeParse(cosignKey, json);
  if (!parsed.success) throw formatError(place, 'is no key as cosign writes them');
  const { kdf, cipher, ciphertext } = parsed.output;
  const { N, r, p } = kdf.params;
  if (!(N > 1 && N * r * 128 <= MOST_MEMORY / 2 && p >= 1 && p <= 16))
    throw new CarportError('E_UNSUPPORTED', `${place}: its password takes more memory than carport gives it`, {
      hint: `at most ${MOST_MEMORY} bytes`,
    });
  const [salt, nonce, sealed] = [kdf.salt, cipher.nonce, ciphertext].map((each) => Buffer.from(each, 'base64'));
  if (nonce!.length !== nacl.secretbox.nonceLength) throw formatError(place, 'is a damaged key');
  const secret = await new Promise<Buffer>((resolve, reject) =>
    scrypt(password, salt!, nacl.secretbox.keyLength, { N, r, p, maxmem: MOST_MEMORY }, (error, derived) =>
      error ? reject(error) : resolve(derived),
    ),
  );
  const der = nacl.secretbox.open(new Uint8Array(sealed!), new Uint8Array(nonce!), new Uint8Array(secret));
  if (der === null) throw wrongPassword(place);
  try {
    return createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' });
  } catch {
    throw formatError(place, 'is a damaged key');
  }
}

function noPassword(place: string): CarportError {
  return new CarportError('E_CREDENTIALS', `${place} is encrypted, and no password is given`, {
    hint: 'set COSIGN_PASSWORD',
  });
}

function wrongPassword(place: string): CarportError {
  return new CarportError('E_CREDENTIALS', `${place} is encrypted by another password`, {
    hint: 'check COSIGN_PASSWORD',
  });
}
