/**
 * What the playground remembers: tabs, history and looks, but no request headers, which hold API keys.
 *
 * GraphiQL leaves headers out of stored tabs by itself, but not out of its history. Whoever switches "Persist
 * headers" on in the settings has asked for them to be kept.
 */
const HISTORY = new Set(["graphiql:queries", "graphiql:favorites"]);
const PERSIST = "graphiql:shouldPersistHeaders";

/** The browser's storage, or one that lasts as long as the page where the browser allows none. */
function available(): Storage | MemoryStorage {
  try {
    localStorage.getItem(PERSIST);
    return localStorage;
  } catch {
    return new MemoryStorage();
  }
}

class MemoryStorage {
  private readonly items = new Map<string, string>();
  get length(): number {
    return this.items.size;
  }
  getItem(key: string): string | null {
    return this.items.get(key) ?? null;
  }
  setItem(key: string, value: string): void {
    this.items.set(key, value);
  }
  removeItem(key: string): void {
    this.items.delete(key);
  }
  clear(): void {
    this.items.clear();
  }
}

const kept = available();

function withoutHeaders(stored: string): string {
  return JSON.stringify(JSON.parse(stored), (key, value: unknown) => (key === "headers" ? undefined : value));
}

export const storage = {
  get length(): number {
    return kept.length;
  },
  getItem: (key: string): string | null => kept.getItem(key),
  setItem(key: string, value: string): void {
    const whole = !HISTORY.has(key) || kept.getItem(PERSIST) === "true";
    kept.setItem(key, whole ? value : withoutHeaders(value));
  },
  removeItem: (key: string): void => kept.removeItem(key),
  clear: (): void => kept.clear(),
};
