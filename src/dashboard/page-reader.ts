// Owns reading lists of the admin port page by page.

/** A page of a list. */
export interface Page<Body> {
  body: Body
  /** The path of the next page; undefined: this is the last one. */
  next: string | undefined
}

/** Of a query; undefined ones are left out. */
export type QueryParameters = Record<string, string | number | undefined>

/** What lists need of the admin port. */
export interface PageReader {
  /** `path`: of a list, or of its next page. */
  page<Body>(path: string, parameters?: QueryParameters): Promise<Page<Body>>
}
