// Owns the media types of the admin port.

export const JSON_TYPE = 'application/json; charset=utf-8'
