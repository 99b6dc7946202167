/**
 * A configuration as a file again, with every key that has a value. What is written is
 * read back before anybody gets it, so that an object which no file can say is refused.
 */
import { invalidArgument, invalidText, SociError } from '../errors.js';
import { type Configuration, parseConfiguration } from './configuration.js';
import { Key, type KeyTable, NamedTables, propertyOf, TableList } from './key.js';
import { KEYS } from './key-table.js';

const WHOLE = 'the configuration';
const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * TOML text that `parseConfiguration` reads into equal values; warnings are not among them.
 *
 * @throws SociError ERR_SOCI_CONFIGURATION, ERR_SOCI_INVALID_ARGUMENT for what is no configuration
 */
export async function formatConfiguration(configuration: Configuration): Promise<string> {
  if (typeof configuration !== 'object' || configuration === null) {
    throw invalidArgument(WHOLE, 'an object', configuration);
  }
  const { warnings: _, ...values } = configuration;
  const document = documentOf(KEYS, values, '');
  const { stringify } = await import('smol-toml');
  let text: string;
  try {
    text = stringify(document);
  } catch (cause) {
    throw new SociError('ERR_SOCI_CONFIGURATION', `${WHOLE}: cannot be written as TOML`, { cause });
  }
  await parseConfiguration(text);
  return text;
}

/** @param place its way from the whole, by properties */
function documentOf(table: KeyTable, values: unknown, place: string): Record<string, unknown> {
  const properties = propertiesOf(values, place);
  const document: Record<string, unknown> = {};
  for (const [name, entry] of Object.entries(table)) {
    const property = propertyOf(name);
    const value = properties.get(property);
    properties.delete(property);
    if (value === undefined) continue;
    const here = `${place}.${property}`;
    if (entry instanceof Key) document[entry.spelling ?? name] = entry.form.write(value);
    else if (entry instanceof NamedTables) document[name] = namedTables(entry.rows, value, here);
    else if (entry instanceof TableList) {
      if (!Array.isArray(value)) throw invalidArgument(WHOLE + here, 'an array', value);
      document[name] = value.map((row: unknown, at) => documentOf(entry.rows, row, `${here}[${at}]`));
    } else document[name] = documentOf(entry, value, here);
  }
  for (const unknown of properties.keys()) {
    throw invalidText(WHOLE + place, 'names that it knows', unknown);
  }
  return document;
}

function namedTables(rows: KeyTable, value: unknown, place: string): Record<string, unknown> {
  const tables: Record<string, unknown> = Object.create(null);
  for (const [name, row] of propertiesOf(value, place)) {
    if (LONE_SURROGATE.test(name)) throw invalidArgument(WHOLE + place, 'names of whole characters', name);
    tables[name] = documentOf(rows, row, `${place}.${name}`);
  }
  return tables;
}

function propertiesOf(values: unknown, place: string): Map<string, unknown> {
  if (typeof values !== 'object' || values === null) {
    throw invalidArgument(WHOLE + place, 'an object', values);
  }
  return new Map(Object.entries(values));
}
