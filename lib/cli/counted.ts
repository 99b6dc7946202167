/** `1 file`, `2 directories`: a count with its noun, as people write it. */
export function counted(count: number, noun: string): string {
  if (count === 1) return `1 ${noun}`;
  // Of those in use: directory has its own plural, index has the one of these documents.
  if (noun.endsWith('y')) return `${count} ${noun.slice(0, -1)}ies`;
  return `${count} ${noun}${noun.endsWith('x') ? 'es' : 's'}`;
}
