// Owns the media types of the admin port.

/** Of every JSON response. */
export const JSON_TYPE = 'application/json; charset=utf-8'
