// Owns what imports what in a tree like ours, by dependency-cruiser and the rules of .dependency-cruiser.js.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { cruise, type ICruiseResult, type IConfiguration } from 'dependency-cruiser'
import extractTSConfig from 'dependency-cruiser/config-utl/extract-ts-config'

/** The root of the project: tests are compiled to dist/test. */
export const root = join(import.meta.dirname, '..', '..', '..')

/** Reads the `src` of a directory: its modules, and where they break the rules. Paths are relative to the directory. */
export async function importGraph(directory: string): Promise<ICruiseResult> {
  const config = (await import(pathToFileURL(join(root, '.dependency-cruiser.js')).href)) as {
    default: Required<Pick<IConfiguration, 'forbidden' | 'options'>>
  }
  const { forbidden, options } = config.default
  const { output } = await cruise(
    ['src'],
    { ...options, ruleSet: { forbidden }, validate: true, baseDir: directory },
    options.enhancedResolveOptions ?? {},
    { tsConfig: extractTSConfig(join(root, 'tsconfig.json')) }
  )
  return output as ICruiseResult
}
