/**
 * What the table of keys is made of: a key knows its type, its default, how a value of
 * it is read and written, and what it means. Reading, defaults, formatting, warnings and
 * the page of documentation all follow from that, and so do the types that programs see.
 */
import type { ConfigurationReading } from './configuration-fault.js';

/** What a key is for: a pull, the snapshotter, or nothing that there is here. */
export type KeyUse = 'pull' | 'snapshotter' | 'nothing';

export interface KeyText {
  /** Default: 'snapshotter'. */
  readonly use?: KeyUse;
  /** One line of docs/configuration.md. */
  readonly meaning: string;
  /** How the reference spells the key, if otherwise; both are read, this is written. */
  readonly spelling?: string;
}

/** Where a value stands, and who words what is wrong with it. */
export interface KeyPlace {
  readonly key: string;
  readonly reading: ConfigurationReading;
}

/** A section that stands before the key's own in the table, and a property of it. */
export type KeyOrigin = readonly [section: string, property: string];

export interface KeyForm<T> {
  /** In the words of TOML. */
  readonly type: string;
  readonly initial: T;
  /** Whose value holds where this key has none of its own. */
  readonly origin?: KeyOrigin;
  /** Given instead of a value, it stands for the default: 0 or "" of most keys of the reference. */
  readonly unset?: T;
  /** Whether the table that it belongs to says nothing without it. */
  readonly required?: true;
  /** @throws SociError ERR_SOCI_CONFIGURATION */
  read(value: unknown, place: KeyPlace): T;
  /** As TOML has it; undefined: the key is left out. */
  write(value: T): unknown;
}

export class Key<T> {
  readonly form: KeyForm<T>;
  readonly use: KeyUse;
  readonly meaning: string;
  readonly spelling: string | undefined;

  constructor(form: KeyForm<T>, { use = 'snapshotter', meaning, spelling }: KeyText) {
    this.form = form;
    this.use = use;
    this.meaning = meaning;
    this.spelling = spelling;
  }
}

/** Tables whose names are the user's, e.g. hosts. */
export class NamedTables<const T> {
  readonly rows: T;
  /** What the names are, for the documentation. */
  readonly name: string;

  constructor(name: string, rows: T) {
    this.name = name;
    this.rows = rows;
  }
}

/** An array of tables. */
export class TableList<const T> {
  readonly rows: T;

  constructor(rows: T) {
    this.rows = rows;
  }
}

export interface KeyTable {
  readonly [name: string]: Key<unknown> | NamedTables<KeyTable> | TableList<KeyTable> | KeyTable;
}

type CamelCase<S extends string> = S extends `${infer First}_${infer Rest}`
  ? `${Uncapitalize<First>}${Capitalize<CamelCase<Rest>>}`
  : Uncapitalize<S>;

type ValueOf<E> =
  E extends Key<infer V>
    ? V
    : E extends NamedTables<infer R>
      ? Readonly<Record<string, ValuesOf<R>>>
      : E extends TableList<infer R>
        ? readonly ValuesOf<R>[]
        : ValuesOf<E>;

/** The object that a table of keys is read into. */
export type ValuesOf<T> = { readonly [K in keyof T & string as CamelCase<K>]: ValueOf<T[K]> };

/** The property that a key is read into: its name in camel case. */
export function propertyOf(name: string): string {
  return name
    .replace(/^[A-Z]/, first => first.toLowerCase())
    .replace(/_([a-z0-9])/g, (_, next: string) => next.toUpperCase());
}
