// Owns the cache of credentials: each is read once while it is in use, and few are kept.
import t from 'tap'
import { CredentialCache } from '../../../src/proxy/http/credential-cache.js'

void t.test('what is in use is read once, what is not makes room', t => {
  const read: string[] = []
  const cache = new CredentialCache(credential => {
    read.push(credential.slice(0, 10))
    return { kind: 'key', name: credential }
  })
  const of = (credential: string): string => cache.of(credential).name
  const [inUse, once] = ['in use', 'once'].map(name => name.padEnd(10) + 'x'.repeat(2_000) + name)
  t.equal(of(once!), once)
  for (let i = 0; i < 5_000; i++) {
    of(inUse!)
    of(`${'y'.repeat(2_000)}${i}`)
  }
  of(once!)
  t.equal(read.filter(text => text === 'in use    ').length, 1)
  t.equal(read.filter(text => text === 'once      ').length, 2, 'it was forgotten')
  t.end()
})

void t.test('credentials that end alike', t => {
  const cache = new CredentialCache(name => ({ kind: 'key', name }))
  const end = 'x'.repeat(50)
  for (const name of [`a${end}`, `b${end}`, `a${end}`, end, '']) t.equal(cache.of(name).name, name)
  t.end()
})
