// Owns what a header section is, of requests and of responses.

/** The longest header section, of a request and of a response, in bytes. Chosen: four times Node's default of 16 KiB. */
export const maxHeaderBytes = 64 * 1024

/** The header fields of a response: values by name in lower case; those of a repeated field are joined with `, `. */
export type ResponseHeaders = Readonly<Record<string, string | undefined>>
