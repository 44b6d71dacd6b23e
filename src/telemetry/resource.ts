// Owns what exported spans and metrics say of the process that they come from.
import {
  defaultResource,
  detectResources,
  envDetector,
  type Resource,
  resourceFromAttributes
} from './opentelemetry.js'

/** Who exports. */
export interface ServiceIdentity {
  version: string
  /** `service.instance.id`: tells this process from others of the same service. */
  instanceId: string
}

/** `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` go before what is set here. */
export const resourceOf = ({ version, instanceId }: ServiceIdentity): Resource =>
  defaultResource()
    .merge(
      resourceFromAttributes({
        'service.name': 'mcp-turnstile',
        'service.version': version,
        'service.instance.id': instanceId
      })
    )
    .merge(detectResources({ detectors: [envDetector] }))
