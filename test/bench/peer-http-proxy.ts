// Owns the peer `http-proxy`, set up as its documentation has it, with kept-alive upstream connections.
import { Agent } from 'node:http'
import type { AddressInfo } from 'node:net'
import httpProxy from 'http-proxy'

const proxy = httpProxy.createProxyServer({ target: process.argv[2]!, agent: new Agent({ keepAlive: true }) })
const server = (await import('node:http')).createServer((request, response) => proxy.web(request, response))
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
