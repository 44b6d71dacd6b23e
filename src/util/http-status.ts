// Owns the classes of HTTP status codes (RFC 9110 §15).

/** 2xx: received, understood and accepted (RFC 9110 §15.3). */
export const isSuccessful = (status: number): boolean => status >= 200 && status < 300
