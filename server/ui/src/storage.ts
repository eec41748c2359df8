/**
 * What the playground remembers: tabs, history and looks, but no request headers, which hold API keys.
 *
 * GraphiQL leaves headers out of stored tabs by itself, but not out of its history. Whoever switches "Persist
 * headers" on in the settings has asked for them to be kept.
 */
const HISTORY = new Set(["graphiql:queries", "graphiql:favorites"]);
const PERSIST = "graphiql:shouldPersistHeaders";

function withoutHeaders(stored: string): string {
  return JSON.stringify(JSON.parse(stored), (key, value: unknown) => (key === "headers" ? undefined : value));
}

export const storage = {
  get length(): number {
    return localStorage.length;
  },
  getItem: (key: string): string | null => localStorage.getItem(key),
  setItem(key: string, value: string): void {
    const keep = !HISTORY.has(key) || localStorage.getItem(PERSIST) === "true";
    localStorage.setItem(key, keep ? value : withoutHeaders(value));
  },
  removeItem: (key: string): void => localStorage.removeItem(key),
  clear: (): void => localStorage.clear(),
};
