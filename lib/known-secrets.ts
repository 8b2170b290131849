/** Secrets that were met, out of text. */

/** A shorter one is a word that may stand for something else. */
const SHORTEST = 8;

/** So long, it is no part of anything else. */
const UNMISTAKABLE = 16;

/** So long, and of all kinds of characters, it is neither a name nor a version, nor a hash in hex. */
const UNMISTAKABLE_WORD = 20;

/** The secrets that this process has met, in each form in which text may have them, and whether results have no such text. */
const known = new Map<string, { readonly pattern: RegExp; readonly isSure: boolean }>();

/** Remembers what is a secret for sure: an access key's, or the password of a login. */
export function rememberSecret(value: string | undefined): void {
  const secret = value?.trim() ?? '';
  if (secret.length >= SHORTEST) remember(secret, secret.length >= UNMISTAKABLE && kindsIn(secret) >= 2);
}

/** Remembers what a variable holds whose name says that it is a secret: it may be a word that many things are called by. */
export function rememberLikelySecret(value: string | undefined): void {
  const secret = value?.trim() ?? '';
  if (secret.length < SHORTEST || kindsIn(secret) < 2) return;
  remember(secret, secret.length >= UNMISTAKABLE_WORD && kindsIn(secret) === 3);
}

function remember(secret: string, isSure: boolean): void {
  for (const form of [
    secret,
    encodeURIComponent(secret.replace(/[\ud800-\udfff]/gu, '?')),
    JSON.stringify(secret).slice(1, -1),
  ]) {
    if (!known.get(form)?.isSure) known.set(form, { pattern: patternOf(form), isSure });
  }
}

/** For who runs several command lines in one process, of which none has met what another has. */
export function forgetSecrets(): void {
  known.clear();
}

/** Words for people, without the secrets that are known. */
export function hideKnownSecrets(text: string): string {
  return hide(text, () => true);
}

/** Results without the secrets that nothing else can be. A store path stays as it is. */
export function hideSureSecrets(text: string): string {
  return hide(text, ({ isSure }) => isSure);
}

function hide(text: string, isMeant: (each: { readonly isSure: boolean }) => boolean): string {
  let shown = text;
  for (const [form, each] of known) {
    if (!isMeant(each) || !shown.includes(form)) continue;
    shown = shown.replace(each.pattern, (_, storePath?: string) => storePath ?? '[secret]');
  }
  return shown;
}

/** The last part of a store path, which is taken whole. */
const STORE_PATH = '((?<![0-9A-Za-z])[0-9a-df-np-sv-z]{32}-[A-Za-z0-9+._?=-]+)';

function patternOf(form: string): RegExp {
  const literal = form.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
  const whole = form.length < UNMISTAKABLE ? `(?<![A-Za-z0-9])${literal}(?![A-Za-z0-9])` : literal;
  return new RegExp(`${STORE_PATH}|${whole}`, 'g');
}

/** How many of these are in text: upper case, lower case, digits. */
function kindsIn(text: string): number {
  return [/[A-Z]/, /[a-z]/, /[0-9]/].filter((kind) => kind.test(text)).length;
}
