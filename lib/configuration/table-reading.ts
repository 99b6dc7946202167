/**
 * A parsed document, held against the table of keys. Names match as the reference's
 * decoder matches them, letters' case aside; nothing is looked at that no key is for,
 * however deep it goes.
 */
import { isDeepStrictEqual } from 'node:util';
import { type ConfigurationReading, keyPath, shownValue } from './configuration-fault.js';
import {
  Key,
  type KeyOrigin,
  type KeyTable,
  NamedTables,
  propertyOf,
  TableList,
  type ValuesOf,
} from './key.js';

type RawTable = Readonly<Record<string, unknown>>;

interface Given {
  /** With its way from the top of the document. */
  readonly key: string;
  readonly value: unknown;
}

function isTable(value: unknown): value is RawTable {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

export class TableReading {
  readonly #reading: ConfigurationReading;
  /** Sections of the document that have been read. */
  readonly #sections = new Map<string, object>();

  constructor(reading: ConfigurationReading) {
    this.#reading = reading;
  }

  /** The values of `table`, its defaults where `document` says nothing. @throws SociError ERR_SOCI_CONFIGURATION */
  read<T extends KeyTable>(table: T, document: RawTable): ValuesOf<T> {
    return this.#table(table, document, '') as ValuesOf<T>;
  }

  #table(table: KeyTable, raw: RawTable, above: string): object {
    const given = this.#assign(table, raw, above);
    const values: Record<string, unknown> = {};
    for (const [name, entry] of Object.entries(table)) {
      const value = this.#entry(entry, given.get(name) ?? [], keyPath(above, name));
      values[propertyOf(name)] = value;
      if (above === '' && isTable(value)) this.#sections.set(name, value);
    }
    return Object.freeze(values);
  }

  /** What the document has for each name of the table; of one key there may be two spellings. */
  #assign(table: KeyTable, raw: RawTable, above: string): Map<string, Given[]> {
    const spellings = new Map<string, string>();
    for (const [name, entry] of Object.entries(table)) {
      spellings.set(name.toLowerCase(), name);
      if (entry instanceof Key && entry.spelling !== undefined) spellings.set(entry.spelling, name);
    }
    const given = new Map<string, Given[]>();
    for (const [spelt, value] of Object.entries(raw)) {
      const name = spellings.get(spelt.toLowerCase());
      if (name === undefined) this.#reading.unknown(above, spelt, Object.keys(table));
      else given.set(name, [...(given.get(name) ?? []), { key: keyPath(above, spelt), value }]);
    }
    return given;
  }

  #entry(entry: KeyTable[string], given: readonly Given[], key: string): unknown {
    if (entry instanceof Key) return this.#value(entry, given, key);
    const [first, second] = given;
    if (first !== undefined && second !== undefined) {
      throw this.#reading.fault(`${first.key} and ${second.key} are one table, which may be there once`, {
        key,
      });
    }
    if (entry instanceof NamedTables) return this.#named(entry.rows, first);
    if (entry instanceof TableList) return this.#list(entry.rows, first);
    return this.#table(entry, this.#rawTable(first), first?.key ?? key);
  }

  #value(entry: Key<unknown>, given: readonly Given[], key: string): unknown {
    const { form } = entry;
    const values = given.map(each => form.read(each.value, { key: each.key, reading: this.#reading }));
    const [value] = values;
    const other = given.find((_, at) => !isDeepStrictEqual(values[at], value));
    if (other !== undefined) {
      const said = [given[0], other].map(each => `${each?.key} = ${shownValue(each?.value)}`);
      throw this.#reading.fault(`one key, and two values: ${said.join(', ')}`, { key });
    }
    if (given.length === 0 && form.required) throw this.#reading.refusal(key, `a ${form.type}`, undefined);
    const unset = given.length === 0 || (form.unset !== undefined && value === form.unset);
    const initial = form.origin === undefined ? form.initial : this.#inherited(form.origin);
    if (unset) return initial;
    if (entry.use === 'nothing' && value !== initial) this.#reading.meaningless(given[0]?.key ?? key);
    return value;
  }

  #inherited([section, property]: KeyOrigin): unknown {
    return (this.#sections.get(section) as RawTable)[property];
  }

  #named(rows: KeyTable, given: Given | undefined): object {
    const tables: Record<string, object> = Object.create(null);
    for (const [name, value] of Object.entries(this.#rawTable(given))) {
      const key = keyPath(given?.key ?? '', name);
      tables[name] = this.#table(rows, this.#rawTable({ key, value }), key);
    }
    return Object.freeze(tables);
  }

  #list(rows: KeyTable, given: Given | undefined): object {
    if (given === undefined) return Object.freeze([]);
    const { key, value } = given;
    if (!Array.isArray(value)) throw this.#reading.refusal(key, 'an array of tables', value);
    const tables = value.map((item: unknown, at) => {
      const place = `${key}[${at}]`;
      return this.#table(rows, this.#rawTable({ key: place, value: item }), place);
    });
    return Object.freeze(tables);
  }

  #rawTable(given: Given | undefined): RawTable {
    if (given === undefined) return {};
    if (!isTable(given.value)) throw this.#reading.refusal(given.key, 'a table', given.value);
    return given.value;
  }
}
