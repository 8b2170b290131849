/** A shorter one is a word that may stand for something else. */
const SHORTEST = 8;

/** So long, it is no part of anything else. */
const UNMISTAKABLE = 16;

/** The secrets that this process has met, in each form in which text may have them. */
const known = new Map<string, RegExp>();

/** Remembers a value that must not be printed: a password, an access key's secret, a token. */
export function rememberSecret(value: string | undefined): void {
  const secret = value?.trim() ?? '';
  if (secret.length < SHORTEST) return;
  for (const form of [
    secret,
    encodeURIComponent(secret.replace(/[\ud800-\udfff]/gu, '?')),
    JSON.stringify(secret).slice(1, -1),
  ]) {
    if (!known.has(form)) known.set(form, pattern(form));
  }
}

/** Text without the secrets that are known. */
export function hideKnownSecrets(text: string): string {
  let shown = text;
  for (const [form, found] of known) if (shown.includes(form)) shown = shown.replace(found, '[secret]');
  return shown;
}

function pattern(form: string): RegExp {
  const literal = form.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
  return new RegExp(form.length < UNMISTAKABLE ? `(?<![A-Za-z0-9])${literal}(?![A-Za-z0-9])` : literal, 'g');
}
