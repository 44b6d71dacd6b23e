// Owns who a client says it is: what is stored of what a stranger wrote, and that the order of facts does not matter.
import t from 'tap'
import {
  mergeClientInfo,
  unknownClient,
  revisionOf,
  storedUserAgent,
  type ClientInfo,
  readClientInfo
} from '../../src/mcp/client-info.js'
import { Random } from '../support/random.js'

void t.test('client info as a stranger wrote it', t => {
  t.same(readClientInfo({ name: 'n', version: '1' }), {
    ...unknownClient,
    clientName: 'n',
    clientVersion: '1'
  })
  t.same(readClientInfo({ name: 'n', version: 1 }), { ...unknownClient, clientName: 'n' })
  for (const info of [undefined, null, 7, 'x', [], {}, { name: '' }, { name: {} }, { version: '1' }])
    t.same(readClientInfo(info), unknownClient, JSON.stringify(info))
  t.equal(readClientInfo({ name: 'x'.repeat(300) }).clientName?.length, 255)
  // SQLite reads a text up to its first NUL.
  t.equal(readClientInfo({ name: 'a\0b' }).clientName, 'a\ufffdb')
  t.equal(readClientInfo({ name: 'a\ud800b\u{1f600}' }).clientName, 'a\ufffdb\u{1f600}')
  t.equal(readClientInfo({ name: `${'x'.repeat(254)}\u{1f600}` }).clientName, `${'x'.repeat(254)}\ufffd`)
  t.end()
})

void t.test('a User-Agent is UTF-8 where it is valid as that, else Latin-1', t => {
  const onWire = (text: string): string => Buffer.from(text).toString('latin1')
  for (const text of ['a/1 (Ergänzendes Update) Версия', '知识库\u{1f600}', 'plain/1'])
    t.equal(storedUserAgent(onWire(text)), text)
  t.equal(storedUserAgent('Ergänzendes Update'), 'Ergänzendes Update')
  t.equal(
    storedUserAgent(onWire('größe').slice(0, -2)),
    onWire('größe').slice(0, -2),
    'cut within a character'
  )
  t.equal(storedUserAgent(onWire('ä'.repeat(300))), 'ä'.repeat(255))
  t.equal(storedUserAgent(onWire(`${'x'.repeat(254)}\u{1f600}`)), `${'x'.repeat(254)}\ufffd`)
  t.equal(storedUserAgent(''), '')
  t.equal(storedUserAgent(undefined), null)
  t.end()
})

void t.test('revisions', t => {
  t.equal(revisionOf('2026-07-28'), '2026-07-28')
  for (const text of [undefined, null, 7, '', 'a b', 'x'.repeat(33), '\u00e4'])
    t.equal(revisionOf(text), null)
  t.end()
})

void t.test('facts merge in any order', t => {
  const random = new Random()
  t.comment(`seed ${random.seed}`)
  const any = (): string | null => random.pick([null, 'a', 'b', 'c'])
  for (let i = 0; i < 2_000; i++) {
    const facts = Array.from({ length: 4 }, (): ClientInfo => {
      const clientName = any()
      return { clientName, clientVersion: clientName && any(), protocolVersion: any() }
    })
    const one = facts.reduce(mergeClientInfo, unknownClient)
    const other = random.shuffle([...facts, ...facts]).reduce(mergeClientInfo, unknownClient)
    if (JSON.stringify(one) !== JSON.stringify(other)) return t.fail('differs', { facts, one, other })
    const known = one.clientName !== null || facts.every(fact => fact.clientName === null)
    if (!known) return t.fail('known beats unknown', { facts, one })
    const isOne = facts.some(
      fact => fact.clientName === one.clientName && fact.clientVersion === one.clientVersion
    )
    if (!isOne) return t.fail('name and version are of one client', { facts, one })
  }
  t.pass()
  t.end()
})
