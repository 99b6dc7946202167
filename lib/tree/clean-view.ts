/**
 * Names of entries as paths from the root: cleaned as cleanPath does it, but in place,
 * since hardly any has more to clean than './' in front and '/' behind. No string is
 * made for those.
 */
import type { ByteView } from '../tar/byte-view.js';
import { cleanPath } from '../ztoc/entry-path.js';

const SLASH = 0x2f;
const DOT = 0x2e;

/** Moves a view of a name to the clean one, without the first '/'; that of the root is empty. */
export function cleanView(view: ByteView): void {
  const { bytes } = view;
  let { start, end } = view;
  if (end > start && bytes[end - 1] === SLASH) end -= 1;
  if (end - start > 1 && bytes[start] === DOT && bytes[start + 1] === SLASH) start += 2;
  let component = start;
  for (let at = start; at <= end; at += 1) {
    if (at < end && bytes[at] !== SLASH) continue;
    if (isUnclean(bytes, component, at)) {
      view.setText(cleanPath(view.text()).slice(1));
      return;
    }
    component = at + 1;
  }
  view.set(bytes, start, end);
}

/** Where the last component of a clean name begins. */
export function lastComponent({ bytes, start, end }: ByteView): number {
  let at = end;
  while (at > start && bytes[at - 1] !== SLASH) at -= 1;
  return at;
}

/** An empty component of a path, '.' or '..'. */
function isUnclean(bytes: Uint8Array, start: number, end: number): boolean {
  const length = end - start;
  if (length > 2) return false;
  return length === 0 || (bytes[start] === DOT && (length === 1 || bytes[start + 1] === DOT));
}
