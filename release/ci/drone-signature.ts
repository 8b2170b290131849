/**
 * The signature that Drone wants of its YAML in a protected repository: what is signed, and the file with it. As Drone's own library
 * has it (drone/drone-yaml, `yaml/signer` and `ParseRaw`). Pure.
 */

import { createHmac, timingSafeEqual } from 'node:crypto';
import { parse } from 'yaml';
import { CarportError, formatError } from '../../lib/errors.js';

/** A document of the file: from its `---`, if it has one, to the next. Texts hold a character for each byte. */
interface Part {
  /** Its line with `---`, or nothing. */
  readonly separator: string;
  /** Its lines, as they are. */
  readonly body: string;
  /** The same as Drone signs it: each line ends with a line feed. */
  readonly signed: string;
  readonly isSignature: boolean;
  readonly hmac: unknown;
}

interface DroneFile {
  readonly parts: readonly Part[];
  /** From the line with `...` on: nobody reads it. */
  readonly rest: string;
  readonly lineEnd: string;
}

/** Drone's scanner of lines ends at a longer one, and what follows is then not signed. */
const LONGEST_LINE = 64 * 1024 - 1;

/** Bytes of a secret; a shorter one is refused, as Drone does. */
export const DRONE_SECRET_SIZE = 32;

/** The signature of a YAML text by the secret of its repository, in hex digits. Throws `E_FORMAT` for what is no YAML. */
export function signDrone(text: string, secret: Uint8Array): string {
  const mac = createHmac('sha256', secret);
  for (const { signed, isSignature } of read(text).parts) if (!isSignature) mac.update(signed, 'latin1');
  return mac.digest('hex');
}

/** The signature that a text has: nothing where there is none. Throws `E_FORMAT` for what is no YAML. */
export function droneSignatureIn(text: string): string | undefined {
  const found = read(text).parts.find(({ isSignature }) => isSignature);
  if (found === undefined) return undefined;
  return typeof found.hmac === 'string' && /^[0-9a-f]{64}$/i.test(found.hmac) ? found.hmac.toLowerCase() : '';
}

/** Whether two signatures are the same. Takes as long whatever they are. */
export function isSameSignature(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}

/**
 * The text with a signature: in the place of the one that is there, else at the end. All else stays, byte for byte; further
 * signatures, of which Drone reads none, go. Throws `E_FORMAT` for what is no YAML.
 */
export function withDroneSignature(text: string, hmac: string): string {
  const { parts, rest, lineEnd } = read(text);
  const place = parts.findIndex(({ isSignature }) => isSignature);
  const body = [`kind: signature`, `hmac: ${hmac}`, ''].map((line) => `${line}${lineEnd}`).join('');
  const separator = `---${lineEnd}`;
  if (place < 0) {
    const before = parts.map((part) => part.separator + part.body).join('');
    const end = before === '' || before.endsWith('\n') ? '' : lineEnd;
    return `${before}${end}${separator}${body}${rest === '' ? `...${lineEnd}` : rest}`;
  }
  const kept = parts.map((part, index) => {
    if (index === place) return (part.separator || (index > 0 ? separator : '')) + body;
    return part.isSignature ? '' : part.separator + part.body;
  });
  return kept.join('') + rest;
}

function read(text: string): DroneFile {
  const found: { separator: string; lines: string[] }[] = [];
  const lines = text.split(/(?<=\n)/);
  let end = lines.length;
  for (const [index, line] of lines.entries()) {
    if (line.startsWith('---')) found.push({ separator: line, lines: [] });
    else if (line.startsWith('...')) {
      end = index;
      break;
    } else if (line !== '') (found.at(-1) ?? add(found)).lines.push(checkLine(line, index));
  }
  if (!found.some(({ lines: own }) => own.length > 0)) throw formatError('the YAML', 'there is nothing in it to sign');
  return {
    parts: found.map(({ separator, lines: own }) => partOf(separator, own)),
    rest: lines.slice(end).join(''),
    lineEnd: lines[0]?.endsWith('\r\n') ? '\r\n' : '\n',
  };
}

function add(found: { separator: string; lines: string[] }[]) {
  const first = { separator: '', lines: [] };
  found.push(first);
  return first;
}

function checkLine(line: string, index: number): string {
  if (line.length <= LONGEST_LINE) return line;
  throw new CarportError('E_UNSUPPORTED', `line ${index + 1} of the YAML is longer than Drone reads`, {
    hint: 'Drone would not sign what follows: break the line',
  });
}

function partOf(separator: string, lines: readonly string[]): Part {
  const signed = lines.map((line) => `${line.replace(/\r?\n$/, '').replace(/\r$/, '')}\n`).join('');
  const { kind, hmac } = headOf(signed);
  return { separator, body: lines.join(''), signed, isSignature: kind === 'signature', hmac };
}

function headOf(document: string): { readonly kind?: unknown; readonly hmac?: unknown } {
  let value: unknown;
  try {
    const text = Buffer.from(document, 'latin1').toString('utf8');
    value = parse(text, { uniqueKeys: false, maxAliasCount: 100, version: '1.1', logLevel: 'error' });
  } catch (cause) {
    throw formatError('the YAML', 'a document of it cannot be read', { cause, hint: 'Drone reads none that is wrong' });
  }
  if (value === null || value === undefined) return {};
  if (typeof value === 'object' && !Array.isArray(value)) return value;
  throw formatError('the YAML', 'a document of it is no map of keys', { hint: 'each has a `kind`' });
}
