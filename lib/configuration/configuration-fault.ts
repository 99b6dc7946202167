/**
 * What is wrong with a configuration file, in the words of whoever wrote it: file,
 * key, what was expected, what was found. What the file says may be anything, so
 * names and values are clipped before they are shown.
 */
import { nearest } from '../arguments.js';
import { SociError } from '../errors.js';

const MAX_SHOWN = 100;
/** A file of another program has nothing but unknown keys, and nobody reads them all. */
const MAX_UNKNOWN = 20;

/** `a.b."c d"`, as TOML writes the way to a key. */
export function keyPath(above: string, name: string): string {
  const shown = /^[A-Za-z0-9_-]+$/.test(name) && name.length <= MAX_SHOWN ? name : quoted(name);
  return above === '' ? shown : `${above}.${shown}`;
}

function quoted(text: string): string {
  return JSON.stringify(text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text);
}

/** A value as a message shows it: texts and numbers themselves, of the rest what it is. */
export function shownValue(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  if (value === undefined) return 'nothing';
  if (typeof value === 'bigint') return shownInteger(value);
  if (typeof value === 'number') return `the float ${value}`;
  if (typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return 'an array';
  if (value instanceof Date) return 'a date';
  return typeof value === 'object' && value !== null ? 'a table' : typeof value;
}

/** Writing out an integer of many digits takes time by their square. */
function shownInteger(value: bigint): string {
  const most = 10n ** 30n;
  return value < most && value > -most ? String(value) : 'an integer of more than 30 digits';
}

/** The reading of one file: how its faults are worded, and what is only worth a warning. */
export class ConfigurationReading {
  readonly #file: string;
  readonly #warnings: string[] = [];
  readonly #meaningless: string[] = [];
  #unknown = 0;

  constructor(file: string) {
    this.#file = file;
  }

  /** The value at `key` is not what it must be. */
  refusal(key: string, expected: string, found: unknown): SociError {
    const shown = shownValue(found);
    return this.fault(`${key}: expected ${expected}, found ${shown}`, { key, expected, found: shown });
  }

  fault(text: string, data: Readonly<Record<string, unknown>> = {}, cause?: unknown): SociError {
    const options = { data: { ...data, path: this.#file }, cause };
    return new SociError('ERR_SOCI_CONFIGURATION', `${this.#file}: ${text}`, options);
  }

  warn(text: string): void {
    this.#warnings.push(`${this.#file}: ${text}`);
  }

  /** Nothing knows `name`; it was perhaps meant to be one of `known`. */
  unknown(above: string, name: string, known: readonly string[]): void {
    if (++this.#unknown > MAX_UNKNOWN) return;
    const meant = nearest(name, known);
    this.warn(`unknown key ${keyPath(above, name)}${meant === undefined ? '' : `: did you mean ${meant}?`}`);
  }

  /** `key` says something that makes no difference here. */
  meaningless(key: string): void {
    this.#meaningless.push(key);
  }

  warnings(): readonly string[] {
    const more = this.#unknown - MAX_UNKNOWN;
    return Object.freeze([
      ...this.#warnings,
      ...(more > 0 ? [`${this.#file}: ${more} more unknown keys`] : []),
      ...(this.#meaningless.length > 0
        ? [`${this.#file}: without meaning here: ${this.#meaningless.join(', ')}`]
        : []),
    ]);
  }
}
