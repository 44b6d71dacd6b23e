// Owns the peer `httpxy`, set up as its documentation has it; it keeps upstream connections by itself.
import { createServer } from 'node:http'
import { createProxyServer } from 'httpxy'
import { listen } from './listen.js'

const proxy = createProxyServer({})
const target = process.argv[2]!
listen(
  createServer((request, response) => {
    proxy.web(request, response, { target }).catch(() => response.destroy())
  })
)
