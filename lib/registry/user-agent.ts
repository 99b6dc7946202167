/** What the library calls itself towards registries: its name and version. */
import { readFileSync } from 'node:fs';

const { version } = JSON.parse(packageJson()) as { readonly version: string };
export const USER_AGENT = `seekable-oci/${version}`;

/** The package's root is one level above dist/ and two above a test build's lib/. */
function packageJson(): string {
  let directory = new URL('./', import.meta.url);
  for (;;) {
    try {
      return readFileSync(new URL('package.json', directory), 'utf8');
    } catch (error) {
      const parent = new URL('../', directory);
      if (parent.href === directory.href) {
        throw error;
      }
      directory = parent;
    }
  }
}
