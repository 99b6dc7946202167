/** The name under which this package signs the ztocs that it builds: "seekable-oci/<version>". */
import { readFileSync } from 'node:fs';
import { SociError } from '../errors.js';

export const BUILD_TOOL_IDENTIFIER: string = `seekable-oci/${packageVersion()}`;

/** dist/ and a test build lie at different depths below package.json. */
function packageVersion(): string {
  let directory = new URL('./', import.meta.url);
  for (;;) {
    try {
      const manifest = JSON.parse(readFileSync(new URL('package.json', directory), 'utf8'));
      if (manifest.name === 'seekable-oci') return String(manifest.version);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    }
    const parent = new URL('../', directory);
    if (parent.href === directory.href) {
      throw new SociError(
        'ERR_SOCI_ADDON',
        'package.json of seekable-oci is missing: the installation is damaged',
      );
    }
    directory = parent;
  }
}
