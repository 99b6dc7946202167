/**
 * Where the package is: its addon and its version are there. From the files of
 * the package itself it is a folder above; from a bundle that has swallowed them
 * it is the installation that the bundle would load the package from, since a
 * native addon cannot be part of a bundle.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { SociError } from './errors.js';

const NAME = 'seekable-oci';

export interface PackageRoot {
  readonly directory: string;
  readonly version: string;
}

/** @param from A file: of the package, or of the bundle. @throws SociError ERR_SOCI_ADDON */
export function packageRootOf(from: string): PackageRoot {
  const start = path.dirname(from);
  for (let directory = start; ; directory = path.dirname(directory)) {
    const found = packageIn(directory) ?? packageIn(path.join(directory, 'node_modules', NAME));
    if (found !== undefined) return found;
    if (path.dirname(directory) === directory) break;
  }
  throw new SociError(
    'ERR_SOCI_ADDON',
    `expected the package ${NAME} around ${start} or installed there, found neither: a bundle cannot hold its ` +
      `native addon. Leave it out of the bundle (esbuild: --external:${NAME}; webpack, rollup: externals) and ` +
      'install it where the bundle runs.',
    { data: { directory: start } },
  );
}

/** Undefined unless the folder is the package's; one that cannot be read is nobody's. */
function packageIn(directory: string): PackageRoot | undefined {
  try {
    const manifest: unknown = JSON.parse(readFileSync(path.join(directory, 'package.json'), 'utf8'));
    const { name, version } = manifest as { readonly name?: unknown; readonly version?: unknown };
    return name === NAME ? { directory, version: String(version) } : undefined;
  } catch {
    return undefined;
  }
}

/** Empty in a bundle of CommonJS; `__filename` proves nothing, since `node -e` gives one to every module. */
const { url }: { readonly url?: string } = import.meta;
const HERE = url === undefined ? __filename : fileURLToPath(url);

export const PACKAGE_ROOT: PackageRoot = packageRootOf(HERE);
