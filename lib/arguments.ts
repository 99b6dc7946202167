/**
 * What callers give, checked at the edge: numbers, choices and the names of
 * options. A name that nobody knows is refused, since what it was meant to do
 * would silently not happen.
 */
import { invalidArgument, invalidText } from './errors.js';

/** @throws SociError ERR_SOCI_INVALID_ARGUMENT unless `value` is an integer within both bounds. */
export function checkInteger(
  name: string,
  value: unknown,
  least: number,
  most = Number.MAX_SAFE_INTEGER,
): asserts value is number {
  if (Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most) return;
  const bounds = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `of ${least} to ${most}`;
  throw invalidArgument(name, `an integer ${bounds}`, value);
}

/** @throws SociError ERR_SOCI_INVALID_ARGUMENT unless `value` is one of `choices`. */
export function checkChoice<T extends string>(
  name: string,
  value: unknown,
  choices: readonly T[],
): asserts value is T {
  if (choices.includes(value as T)) return;
  const quoted = choices.map(choice => `'${choice}'`);
  const last = quoted.pop() ?? 'nothing';
  const expected = quoted.length === 0 ? last : `${quoted.join(', ')} or ${last}`;
  throw typeof value === 'string'
    ? invalidText(name, expected, value)
    : invalidArgument(name, expected, value);
}

/** The names of the options of `T`, all of them: a name that is missing or too many does not compile. */
export type OptionNames<T> = Readonly<Record<keyof T, true>>;

/**
 * Refuses options with names that are not known; a known one may be undefined.
 *
 * @param caller The function as its callers write it, e.g. `openImage`.
 * @param known has a property of every name
 * @throws SociError ERR_SOCI_INVALID_ARGUMENT
 */
export function checkOptions<T extends object>(
  caller: string,
  given: T,
  known: Readonly<Record<keyof T, unknown>>,
): void {
  if (typeof given !== 'object' || given === null) {
    throw invalidArgument(`the options of ${caller}`, 'an object', given);
  }
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(known, name)) continue;
    const names = Object.keys(known);
    const meant = nearest(name, names);
    const hint = meant === undefined ? `: there are ${names.join(', ')}` : `: did you mean '${meant}'?`;
    throw invalidText(`the options of ${caller}`, 'names that it knows', name, hint);
  }
}

/** Those of the options that somebody else takes, who is given no others. */
export function chosenOptions<T extends object>(given: NoInfer<T>, names: OptionNames<T>): T {
  return Object.fromEntries(Object.entries(given).filter(([name]) => Object.hasOwn(names, name))) as T;
}

/** The word of `words` that `word` was probably meant to be: a slip or two away from it, letters' case aside. */
export function nearest(word: string, words: readonly string[]): string | undefined {
  // What is long is no slip, and costs time by its square.
  if (word.length > 64) return undefined;
  let best: string | undefined;
  let least = Math.max(1, Math.min(3, Math.floor(word.length / 3))) + 1;
  for (const candidate of words) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

/** Letters to insert, to remove, to change or to swap with their neighbour (optimal string alignment). */
function editDistance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      const changed = (last[column - 1] ?? 0) + (same ? 0 : 1);
      const moved = Math.min(last[column] ?? 0, current[column - 1] ?? 0) + 1;
      const swap =
        row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
          ? (beforeLast[column - 2] ?? 0) + 1
          : Number.POSITIVE_INFINITY;
      current.push(Math.min(changed, moved, swap));
    }
    [beforeLast, last] = [last, current];
  }
  return last[to.length] ?? 0;
}
