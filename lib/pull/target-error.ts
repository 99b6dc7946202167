/** What is in the way of a target, in one form of words. */
import { SociError } from '../errors.js';

/** Something is there already that is not what the target would add to. */
export function somethingElse(target: string, expected: string, found: string): SociError {
  return new SociError(
    'ERR_SOCI_OUTPUT',
    `${target}: expected ${expected}, found ${found}; name another place, or remove what is there`,
    { data: { target, expected, found } },
  );
}

/** An image that the target has no place for. */
export function noPlace(target: string, what: string): SociError {
  return new SociError('ERR_SOCI_OUTPUT', `${target}: ${what}`, { data: { target } });
}
