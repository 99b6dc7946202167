/** The name under which this package signs the ztocs that it builds: "seekable-oci/<version>". */
import { PACKAGE_ROOT } from '../package-root.js';

export const BUILD_TOOL_IDENTIFIER: string = `seekable-oci/${PACKAGE_ROOT.version}`;
