// Owns reading JSON that may be anything.

/** A member of a JSON value; undefined where the value is no object or array, or has no such member. */
export function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined
}

/** The value of a JSON text, with or without a byte order mark (RFC 8259 §8.1); undefined where the text is no JSON. */
export function parseJson(json: string): unknown {
  try {
    return JSON.parse(json.startsWith('\ufeff') ? json.slice(1) : json)
  } catch {
    return undefined
  }
}
