// Owns programs of the system that tests run: where they are, and installing them on Debian where they are missing.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** The path of the first of the names that is in PATH or in one of the other folders. */
export function findProgram(
  names: readonly string[],
  otherFolders: readonly string[] = []
): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...otherFolders]
  return names.flatMap(name => folders.map(folder => join(folder, name))).find(path => existsSync(path))
}

/** Debian, and we may install packages. */
export const canInstallPackages = (): boolean => process.getuid?.() === 0 && existsSync('/etc/debian_version')

let listsAreFresh = false

/** Installs Debian packages without their recommendations; whether that worked. What apt complains of goes to stderr. */
export function installPackages(...packages: string[]): boolean {
  listsAreFresh ||= aptGet('update')
  return aptGet('install', ...packages)
}

function aptGet(...args: string[]): boolean {
  const options = ['-qq', '-y', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300']
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  return (
    spawnSync('apt-get', [...options, ...args], { env, stdio: ['ignore', 'ignore', 'inherit'] }).status === 0
  )
}
