// Owns checking queries and path parameters against their schemas: nothing is guessed, nothing silently removed.
import type { FastifySchemaCompiler, FastifyTypeProvider } from 'fastify'
import type { Static, StaticDecode, TObject, TSchema } from 'typebox'
import { Check, DecodeUnsafe } from 'typebox/value'
import { BadQueryError } from './admin-errors.js'

/** Handlers see the decoded values: instants as numbers, cursors as positions. */
export interface DecodingTypeProvider extends FastifyTypeProvider {
  validator: this['schema'] extends TSchema ? StaticDecode<this['schema']> : unknown
  serializer: this['schema'] extends TSchema ? Static<this['schema']> : unknown
}

/**
 * For query strings and the parameters of a path. Checks each parameter and decodes it; the error names the parameter and,
 * from its description, what to give. Unlike the compiler of @fastify/type-provider-typebox it does not take `limit=10.9`
 * for 10 and `limit=true` for 1.
 */
export const compile: FastifySchemaCompiler<TObject> = ({ schema }) => {
  const parameters = new Map<string, TSchema & { type?: string; description?: string }>(
    Object.entries(schema.properties)
  )
  const known = [...parameters.keys()].join(', ')
  const required = (schema as { required?: readonly string[] }).required ?? []
  const expected = (name: string): string => `give ${parameters.get(name)?.description ?? ''}`
  return (query: Record<string, unknown>) => {
    const value: Record<string, unknown> = {}
    for (const [name, text] of Object.entries(query)) {
      const parameter = parameters.get(name)
      if (!parameter) return refusal(`unknown parameter ${name}: this query takes ${known}`)
      if (Array.isArray(text)) return refusal(`${name} is there more than once: give it once`)
      const read = parameter.type === 'integer' && /^\d+$/.test(String(text)) ? Number(text) : text
      if (!Check(parameter, read)) return refusal(`${name} cannot be used: ${expected(name)}`)
      value[name] = DecodeUnsafe({}, parameter, read)
    }
    const missing = required.find(name => value[name] === undefined)
    if (missing !== undefined) return refusal(`${missing} is missing: ${expected(missing)}`)
    return { value }
  }
}

const refusal = (message: string) => ({ error: new BadQueryError(message) })
