/** The version of the package, as its ztocs carry it. */
import { BUILD_TOOL_IDENTIFIER } from '../ztoc/build-tool.js';

export function version(): string {
  return BUILD_TOOL_IDENTIFIER.slice(BUILD_TOOL_IDENTIFIER.indexOf('/') + 1);
}
