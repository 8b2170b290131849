import { PIN, type Pin, toDocument, toPin } from '#cache/pins/pin.js';
import { documentMessage, parseDocument, renderDocument } from '#lib/signing/document.js';

export function parsePin(text: string): Pin {
  return toPin(parseDocument(PIN, text));
}

/** The text of a pin with the signatures that it has, be they right or not. */
export function renderPin(pin: Pin): string {
  return renderDocument(PIN, toDocument(pin));
}

/** The text that is signed of a pin. */
export function pinMessage(pin: Omit<Pin, 'signatures'>): string {
  return documentMessage(PIN, toDocument({ ...pin, signatures: [] }).value);
}
