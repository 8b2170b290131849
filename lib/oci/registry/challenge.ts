/** What a registry wants of who asks: `WWW-Authenticate`. Source: RFC 9110, 11.6.1, and distribution's token specification. */

/** A way to say who one is: by a password, or by a token that a server of the registry gives out. */
export type Challenge =
  | { readonly scheme: 'basic' }
  | {
      readonly scheme: 'bearer';
      readonly realm: string;
      readonly service: string | undefined;
      readonly scope: string | undefined;
    };

const HEADER_LIMIT = 8192;

/** The challenge that a header has; of several a token's goes first. `undefined` where there is none that is known. */
export function parseChallenge(header: string | undefined): Challenge | undefined {
  const text = (header ?? '').slice(0, HEADER_LIMIT);
  const bearer = /(?:^|,\s*)bearer\s+(.*)$/is.exec(text)?.[1];
  if (bearer !== undefined) {
    const parameters = parametersOf(bearer);
    const realm = parameters.get('realm');
    if (realm !== undefined) {
      return { scheme: 'bearer', realm, service: parameters.get('service'), scope: parameters.get('scope') };
    }
  }
  return /(?:^|,\s*)basic\b/i.test(text) ? { scheme: 'basic' } : undefined;
}

function parametersOf(text: string): ReadonlyMap<string, string> {
  const pairs = text.matchAll(/([a-z_]+)\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^\s",]+))/gi);
  return new Map(
    [...pairs].map(([, name, quoted, plain]) => [name!.toLowerCase(), plain ?? quoted!.replace(/\\(.)/g, '$1')]),
  );
}
