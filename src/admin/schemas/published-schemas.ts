// Owns what the package gives to other programs: the JSON schemas of the admin port's responses, and their types.
export * from './monitoring-responses.js'
export * from './query-responses.js'
export * from './readiness.js'
