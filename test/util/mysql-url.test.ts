// Owns what is understood of mysql:// URLs, and what is refused with advice.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { type MysqlTarget, parseMysqlUrl } from '../../src/util/mysql-url.js'

const BASE = 'mysql://u:p%40%2Fs@db.example:3307/my-db'
const plain: MysqlTarget = { host: 'db.example', port: 3307, user: 'u', password: 'p@/s', database: 'my-db' }
const PEM = fileURLToPath(new URL('../../../test/support/tls/cert.pem', import.meta.url))
const ca = readFileSync(PEM, 'utf8')
const trusting = { rejectUnauthorized: false, verifyIdentity: false }
const verified = { rejectUnauthorized: true, verifyIdentity: true }

void t.test('parameters are understood under the names that other clients and providers give them', t => {
  const understood: [string, Partial<MysqlTarget>][] = [
    ['', {}],
    ['ssl-mode=DISABLED', {}],
    ['ssl-mode=REQUIRED', { ssl: trusting }],
    ['sslMode=required', { ssl: trusting }],
    ['ssl_mode=VERIFY_CA', { ssl: { rejectUnauthorized: true, verifyIdentity: false } }],
    ['sslmode=verify-identity', { ssl: verified }],
    ['ssl=true', { ssl: verified }],
    ['ssl=false', {}],
    ['ssl=%7B%22rejectUnauthorized%22%3A%20true%7D', { ssl: verified }],
    ['ssl={"rejectUnauthorized":false}', { ssl: trusting }],
    ['sslaccept=strict', { ssl: verified }],
    ['sslaccept=accept_invalid_certs', { ssl: trusting }],
    [`ssl-ca=${PEM}`, { ssl: { ...verified, ca } }],
    [`ssl-ca=${PEM}&ssl-mode=VERIFY_CA`, { ssl: { rejectUnauthorized: true, verifyIdentity: false, ca } }],
    [`sslca=${PEM}&ssl-mode=REQUIRED`, { ssl: { rejectUnauthorized: true, verifyIdentity: false, ca } }],
    [`ssl-cert=${PEM}&ssl-key=${PEM}`, { ssl: { ...verified, cert: ca, key: ca } }],
    ['charset=utf8mb4', {}],
    ['charset=UTF8MB4_UNICODE_CI', {}],
    ['connection_limit=4', { connectionLimit: 4 }],
    ['connectionLimit=4', { connectionLimit: 4 }],
    ['socketPath=%2Frun%2Fmysqld.sock', { socketPath: '/run/mysqld.sock' }]
  ]
  for (const [parameters, meant] of understood)
    t.strictSame(parseMysqlUrl(`${BASE}?${parameters}`), { ...plain, ...meant }, parameters)
  t.match(parseMysqlUrl('mysql://u@[::1]/d'), { host: '::1', port: 3306, password: '' })
  t.end()
})

void t.test('what is not understood is refused with advice and without the password', t => {
  const refused: [string, RegExp][] = [
    ['ssl-mode=PREFERRED', /^for TLS give one of DISABLED, REQUIRED, VERIFY_CA, VERIFY_IDENTITY/],
    ['ssl=Amazon%20RDS', /^for TLS give one of 0, 1, true, false/],
    ['ssl={"ca":"x"}', /^for TLS give one of/],
    ['sslaccept=maybe', /^for TLS give one of strict/],
    ['ssl-ca=/no/such/file', /^ssl-ca must name a file that can be read$/],
    ['charset=latin1', /^give charset=utf8mb4, or leave it out$/],
    ['connection_limit=0', /^give connection_limit a whole number from 1/],
    ['connection_limit=many', /^give connection_limit a whole number from 1/],
    ['multipleStatements=true', /^the parameter "multipleStatements" is not known: there are ssl-mode, /],
    ['useSSL=false', /^the parameter "useSSL" is not known/],
    ['__proto__=1', /^the parameter "__proto__" is not known/],
    ['ssl=true&ssl=false', /^the parameter ssl is there twice/],
    ['connection_limit=2&connectionLimit=3', /^the parameter connectionLimit is there twice/]
  ]
  for (const [parameters, message] of refused) {
    const parse = (): unknown => parseMysqlUrl(`${BASE}?${parameters}`)
    t.throws(parse, { code: 'TURNSTILE_MYSQL_URL', message }, parameters)
    t.throws(parse, { message: /^(?!.*p@\/s)/ })
  }
  t.end()
})
