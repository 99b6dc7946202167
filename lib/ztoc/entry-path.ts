/**
 * Paths as the reference looks them up: Go's path.Clean("/" + name), purely
 * lexical. '..' never climbs above the root, so a hostile name stays inside.
 * Works on byte strings.
 */

export function cleanPath(name: string): string {
  const parts: string[] = [];
  for (const part of name.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') parts.pop();
    else parts.push(part);
  }
  return `/${parts.join('/')}`;
}
