/** Who one is at a registry. */

/** What a registry is told of who asks. */
export type Login =
  | { readonly kind: 'password'; readonly user: string; readonly password: string }
  /** To get tokens with, as OAuth's refresh tokens. */
  | { readonly kind: 'identity'; readonly token: string }
  /** To be sent as it is. */
  | { readonly kind: 'token'; readonly token: string };
