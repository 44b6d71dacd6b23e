// Owns what a header section is, of requests and of responses.

/** For a request's and for an answer's header section. */
export const maxHeaderBytes = 64 * 1024

/** Values by name in lower case; those of a repeated field are joined with `, `. */
export type ResponseHeaders = Readonly<Record<string, string | undefined>>
