/** What is remembered for a while: the newest, and no more of it than there is room for. */

export interface MemoryOptions {
  /** What all values may take, as they are measured when they are kept. */
  readonly room: number;
  /** Milliseconds, by any clock that does not go back. */
  now(): number;
}

export interface Memory<V> {
  get(key: string): V | undefined;
  /** Keeps a value for so many milliseconds at most. */
  keep(key: string, value: V, size: number, milliseconds: number): void;
  forget(key: string): void;
}

/** Values by their keys. What was used least lately goes first. */
export function createMemory<V>({ room, now }: MemoryOptions): Memory<V> {
  // A map keeps the order in which keys came.
  const kept = new Map<string, { readonly value: V; readonly size: number; readonly until: number }>();
  let used = 0;
  const forget = (key: string): void => {
    used -= kept.get(key)?.size ?? 0;
    kept.delete(key);
  };
  return {
    get(key) {
      const found = kept.get(key);
      if (found === undefined) return undefined;
      kept.delete(key);
      if (found.until > now()) {
        kept.set(key, found);
        return found.value;
      }
      used -= found.size;
      return undefined;
    },
    keep(key, value, size, milliseconds) {
      forget(key);
      if (size > room) return;
      kept.set(key, { value, size, until: now() + milliseconds });
      used += size;
      for (const oldest of kept.keys()) {
        if (used <= room) return;
        forget(oldest);
      }
    },
    forget,
  };
}
