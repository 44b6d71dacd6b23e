// Owns requests over TLS with an authority or a certificate of one's own.
import { readFileSync } from 'node:fs'

/** PEM files; undefined: what Node does by itself. */
export interface OwnTls {
  adminCa: string | undefined
  adminCert: string | undefined
  adminKey: string | undefined
}

/** `fetch`, with those files where there are any. Throws where one cannot be read. */
export async function fetcherFor({ adminCa, adminCert, adminKey }: OwnTls): Promise<typeof fetch> {
  if (adminCa === undefined && adminCert === undefined && adminKey === undefined) return fetch
  const undici = await import('undici')
  const connect = {
    ...(adminCa !== undefined && { ca: readFileSync(adminCa) }),
    ...(adminCert !== undefined && { cert: readFileSync(adminCert) }),
    ...(adminKey !== undefined && { key: readFileSync(adminKey) })
  }
  const dispatcher = new undici.Agent({ connect })
  return ((url: URL, init: object) => undici.fetch(url, { ...init, dispatcher })) as unknown as typeof fetch
}
