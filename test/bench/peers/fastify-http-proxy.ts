// Owns the peer `@fastify/http-proxy`, set up as its documentation has it; undici keeps its upstream connections.
import fastifyHttpProxy from '@fastify/http-proxy'
import Fastify from 'fastify'
import { BODY_BYTES } from '../sizes.js'

const app = Fastify({ keepAliveTimeout: 60_000, bodyLimit: 2 * BODY_BYTES })
await app.register(fastifyHttpProxy, { upstream: process.argv[2]! })
console.log(await app.listen({ port: 0, host: '127.0.0.1' }))
