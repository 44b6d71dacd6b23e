// Owns the peer `http-proxy`, set up as its documentation has it, with kept-alive upstream connections.
import { Agent, createServer } from 'node:http'
import httpProxy from 'http-proxy'
import { listen } from './listen.js'

const proxy = httpProxy.createProxyServer({ target: process.argv[2]!, agent: new Agent({ keepAlive: true }) })
proxy.on('error', (_error, _request, response) => response.destroy())
listen(createServer((request, response) => proxy.web(request, response)))
