// Owns which chunks of an event stream count as messages.
import { test } from 'tap'
import { MessageLines } from '../../../src/proxy/taps/message-lines.js'

const cases: Record<string, [chunk: string, hasData: boolean][]> = {
  'one event a chunk': [
    ['data: {}\n\n', true],
    ['event: message\nid: 1\ndata: {}\n\n', true],
    ['data:{}\r\n\r\n', true],
    ['data\n\n', true]
  ],
  'bare line ends': [
    ['\n', false],
    ['\r\n', false],
    ['\r', false],
    ['\n\n', false],
    ['data: {}\n\n', true],
    ['\n', false]
  ],
  comments: [
    [': ping\n\n', false],
    [':\n\n', false],
    [':\r\r', false],
    [': ping\n\ndata: {}\n\n', true],
    [': ping\r\rdata: {}\r\r', true]
  ],
  'a comment over two chunks': [
    [': pi', false],
    ['ng\n\n', false],
    [':', false],
    [' data: \n', false],
    [': x\n: ', false],
    ['data\n\n', false],
    ['data: {}\n\n: ', true],
    ['data: x\n\n', false],
    ['data: {}\n\n:', true],
    ['data: x\n\n', false]
  ],
  'data over chunks': [
    ['d', true],
    ['ata: {"data":', true],
    ['1}\r', true],
    ['\n\r\n', false],
    [': x\n\nid: 1\ndat', true],
    ['a: {\n', true],
    [': ping\n\n', false]
  ],
  'fields without data': [
    ['retry: 3000\n\n', false],
    ['id: 1\nevent: data\n\n', false],
    ['event: mess', false],
    ['data\n', false],
    ['data: {}\n\n', true]
  ]
}

for (const [name, chunks] of Object.entries(cases)) {
  void test(name, t => {
    const lines = new MessageLines()
    for (const [chunk, hasData] of chunks)
      t.equal(lines.feed(Buffer.from(chunk)), hasData, JSON.stringify(chunk))
    t.end()
  })
}
