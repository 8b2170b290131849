/** Notices: what people are to know of work that goes on all the same. */

/** What a notice is about. Whoever chooses among notices looks here, and never into a message. */
export interface NoticeSubject {
  /** Of an object in a store. */
  readonly key?: string;
  /** Of a release. */
  readonly version?: string;
  /** A store path. */
  readonly path?: string;
  /** The URL of a cache. */
  readonly cache?: string;
}

/** One thing that people are to know: a sentence without its full stop, and what it is about. */
export interface Notice {
  readonly about?: NoticeSubject;
  readonly message: string;
}

/** A notice about an object of a store. */
export function aboutKey(key: string, message: string): Notice {
  return { about: { key }, message };
}

/** A notice about a release. */
export function aboutVersion(version: string, message: string): Notice {
  return { about: { version }, message };
}

/** What notices say, in their order. */
export function messagesOf(notices: readonly Notice[]): readonly string[] {
  return notices.map(({ message }) => message);
}
