/** What the library calls itself towards registries: its name and version. */
import { PACKAGE_ROOT } from '../package-root.js';

export const USER_AGENT: string = `seekable-oci/${PACKAGE_ROOT.version}`;
