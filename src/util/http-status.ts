// Owns the classes of HTTP status codes (RFC 9110 §15).

export const isAccepted = (status: number): boolean => status >= 200 && status < 300
