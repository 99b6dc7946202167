/**
 * Paths as the reference looks them up: Go's path.Clean("/" + name), purely
 * lexical. '..' never climbs above the root, so a hostile name stays inside.
 * Works on byte strings.
 */

/** An empty component, '.' or '..', or a slash at either end. */
const UNCLEAN = /(?:^|\/)\.{0,2}(?:\/|$)/;

export function cleanPath(name: string): string {
  if (!UNCLEAN.test(name)) return `/${name}`;
  const parts: string[] = [];
  for (const part of name.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') parts.pop();
    else parts.push(part);
  }
  return `/${parts.join('/')}`;
}
