// Owns the peer `fast-proxy`, set up as its documentation has it, with undici, the faster of its two clients.
import { createServer } from 'node:http'
import fastProxy from 'fast-proxy'
import { listen } from './listen.js'

const gateway = fastProxy({ base: process.argv[2]!, undici: true })
listen(createServer((request, response) => gateway.proxy(request, response, request.url ?? '/', {})))
