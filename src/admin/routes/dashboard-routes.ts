// Owns serving the dashboard: its page at `/`, and the files that it loads. All of it is public, for it holds no data.
import type { FastifyPluginCallback, FastifyReply } from 'fastify'
import { NotServedError } from '../schemas/admin-errors.js'
import { type Asset, readAssets } from './dashboard-assets.js'

/** A year, the longest that caches take. */
const FOR_EVER = 'public, max-age=31536000, immutable'

/** `isOn`: whether there is monitoring, without which the dashboard has nothing to show. */
export const dashboardRoutes: FastifyPluginCallback<{ isOn: boolean }> = (app, { isOn }, done) => {
  const open = { config: { public: true }, schema: { hide: true } }
  const send = (reply: FastifyReply, { type, body }: Asset) => reply.type(type).send(body)
  if (isOn) {
    const { page, files } = readAssets()
    app.get('/', open, (_request, reply) => send(reply, page))
    for (const [path, asset] of files)
      app.get(path, open, (_request, reply) => send(reply.header('cache-control', FOR_EVER), asset))
  } else {
    app.get('/', open, () => {
      throw new NotServedError('the dashboard is not served: it needs --monitoring')
    })
  }
  done()
}
