// Owns the response of `/readyz`: whether what is observed reaches the disk and the store. Seen without a token: no secrets.
import Type, { type Static } from 'typebox'
import { Instant, NaturalNumber } from './fields.js'

const NullableInstant = Type.Union([Instant, Type.Null()])

/** Whether the outbox and the store of a proxy, or of several workers together, can be written. */
export const Readiness = Type.Object({
  ready: Type.Boolean({ description: 'outbox and store can be written, and the process does not end' }),
  outbox: Type.Object({
    ok: Type.Boolean({ description: 'it can be written' }),
    depth: Type.Integer({ minimum: 0, description: 'events that the store does not have yet' }),
    oldestAt: NullableInstant,
    sizeBytes: NaturalNumber,
    lostEvents: Type.Integer({
      minimum: 0,
      description: 'events that could not be written, and found no room in memory until they could'
    })
  }),
  store: Type.Object({
    ok: Type.Boolean({ description: 'it can be written' }),
    failingSince: NullableInstant
  }),
  closing: Type.Optional(Type.Boolean({ description: 'the process ends: clients are to go elsewhere' }))
})
export type Readiness = Static<typeof Readiness>
