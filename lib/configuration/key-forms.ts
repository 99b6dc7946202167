/**
 * The forms that keys come in. What the reference takes is taken, unless it could only
 * make its daemon fail later; integers are those that a `number` holds exactly.
 */
import { Key, type KeyForm, type KeyOrigin, type KeyText } from './key.js';
import { formatSize, MAX_SIZE, parseSize } from './size-text.js';

/** Where Node's timers end: 2^31-1 ms, almost 25 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;

const FLAG: Omit<KeyForm<boolean>, 'initial'> = {
  type: 'boolean',
  read: (value, { key, reading }) => {
    if (typeof value !== 'boolean') throw reading.refusal(key, 'true or false', value);
    return value;
  },
  write: value => value,
};

export function flag(text: KeyText & { readonly initial: boolean }): Key<boolean> {
  return new Key({ ...FLAG, initial: text.initial }, text);
}

/** As `flag`, but whether it was there at all matters. */
export function optionalFlag(text: KeyText): Key<boolean | undefined> {
  return new Key<boolean | undefined>({ ...FLAG, initial: undefined }, text);
}

export interface IntegerText extends KeyText {
  readonly initial: number;
  readonly least?: number;
  readonly most?: number;
  readonly unset?: number;
  readonly origin?: KeyOrigin;
}

export function integer({
  initial,
  least = Number.MIN_SAFE_INTEGER,
  most = Number.MAX_SAFE_INTEGER,
  ...text
}: IntegerText): Key<number> {
  const expected =
    least > Number.MIN_SAFE_INTEGER
      ? `an integer of ${least} to ${most}`
      : most < Number.MAX_SAFE_INTEGER
        ? `an integer of at most ${most}`
        : 'an integer within 2^53';
  const form: KeyForm<number> = {
    type: 'integer',
    initial,
    ...(text.unset === undefined ? {} : { unset: text.unset }),
    ...(text.origin === undefined ? {} : { origin: text.origin }),
    read: (value, { key, reading }) => {
      if (typeof value !== 'bigint' || value < least || value > most) {
        throw reading.refusal(key, expected, value);
      }
      return Number(value);
    },
    write: integerOf,
  };
  return new Key(form, text);
}

/** An integer of which 0 is the default, as it is of most of the reference's. */
export function count(text: Omit<IntegerText, 'unset'>): Key<number> {
  return integer({ ...text, unset: 0 });
}

/** What a timer can wait for; `least` where a negative time means something. */
export function milliseconds(text: Omit<IntegerText, 'unset' | 'most'>): Key<number> {
  return count({ least: 0, ...text, most: MAX_TIMER_MS });
}

export function seconds(text: Omit<IntegerText, 'unset' | 'most'>): Key<number> {
  return count({ least: 0, ...text, most: Math.floor(MAX_TIMER_MS / 1000) });
}

/** TOML has integers and floats; what writes it goes by `bigint`. A fraction stays one, and is refused. */
function integerOf(value: number): unknown {
  return Number.isSafeInteger(value) ? BigInt(value) : value;
}

/** Any text; "" is the default. */
export function word(text: KeyText & { readonly initial: string }): Key<string> {
  return new Key({ ...wordForm(text.initial), unset: '' }, text);
}

/** A text without which its table says nothing. */
export function requiredWord(text: KeyText): Key<string> {
  return new Key({ ...wordForm(''), required: true }, text);
}

/** The path of a Unix socket; the reference takes the scheme off. */
export function socket(text: KeyText & { readonly initial: string }): Key<string> {
  const { read, ...form } = wordForm(text.initial);
  return new Key(
    {
      ...form,
      unset: '',
      read: (value, place) => {
        const path = read(value, place).replace(/^(?:unix:\/\/)+/, '');
        if (path === '' && value !== '')
          throw place.reading.refusal(place.key, 'the path of a socket', value);
        return path;
      },
    },
    text,
  );
}

export function choice<C extends string>(
  choices: readonly C[],
  { initial, ...text }: KeyText & { readonly initial: NoInfer<C> },
): Key<C> {
  const expected = choices.map(each => JSON.stringify(each)).join(' or ');
  const form: KeyForm<C> = {
    type: choices.map(each => JSON.stringify(each)).join(', '),
    initial,
    read: (value, { key, reading }) => {
      // "" is the default to the reference.
      if (value === '') return initial;
      if (!choices.includes(value as C)) throw reading.refusal(key, expected, value);
      return value as C;
    },
    write: value => value,
  };
  return new Key(form, text);
}

export function words(text: KeyText): Key<readonly string[]> {
  const form: KeyForm<readonly string[]> = {
    type: 'array of strings',
    initial: Object.freeze([]),
    read: (value, { key, reading }) => {
      if (!Array.isArray(value)) throw reading.refusal(key, 'an array of strings', value);
      return Object.freeze(
        value.map((item: unknown, at) => {
          if (typeof item !== 'string') throw reading.refusal(`${key}[${at}]`, 'a string', item);
          return item;
        }),
      );
    },
    write: value => value,
  };
  return new Key(form, text);
}

/** Bytes, written as a text with a unit. */
export function size(text: KeyText): Key<number> {
  const form: KeyForm<number> = {
    type: 'string, a size',
    initial: 0,
    read: (value, { key, reading }) => {
      if (typeof value !== 'string') throw reading.refusal(key, 'a size in quotes, such as "8mb"', value);
      const bytes = parseSize(value);
      if (bytes === undefined) {
        const expected = 'a number, perhaps with b, kb, mb or gb';
        throw reading.fault(`${key}: invalid size format: ${value.slice(0, 64)} (expected ${expected})`, {
          key,
          expected,
        });
      }
      if (bytes > MAX_SIZE) throw reading.refusal(key, 'at most 1024gb', value);
      return bytes;
    },
    write: value => (Number.isSafeInteger(value) && value >= 0 ? formatSize(value) : value),
  };
  return new Key(form, text);
}

/** A registry as the reference wants it: a URL. Without a scheme it is taken for one too, not passed over. */
export function registryUrl(text: KeyText): Key<string> {
  const { read, ...form } = wordForm('');
  return new Key(
    {
      ...form,
      required: true,
      read: (value, place) => {
        const url = read(value, place);
        if (url.includes('@')) {
          const expected = 'a URL without credentials';
          throw place.reading.fault(`${place.key}: expected ${expected}`, { key: place.key, expected });
        }
        const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(url) ? url : `https://${url}`;
        if (!/^https?:/i.test(whole) || !URL.canParse(whole)) {
          throw place.reading.refusal(place.key, 'a URL such as "https://mirror.example"', url);
        }
        return url;
      },
    },
    text,
  );
}

function wordForm(initial: string): KeyForm<string> {
  return {
    type: 'string',
    initial,
    read: (value, { key, reading }) => {
      if (typeof value !== 'string') throw reading.refusal(key, 'a string', value);
      return value;
    },
    write: value => value,
  };
}
