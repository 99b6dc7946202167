/** `WWW-Authenticate` (RFC 9110 §11.6.1): which schemes a registry takes, and for Bearer where tokens come from. */

export interface Challenge {
  /** Lower case. */
  readonly scheme: string;
  /** Names in lower case. */
  readonly parameters: ReadonlyMap<string, string>;
}

const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const MAX_HEADER = 64 * 1024;

class Scanner {
  at = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  get done(): boolean {
    return this.at >= this.#text.length;
  }

  /** Skips blanks and the commas that separate list elements, of which there may be too many. */
  skip(characters: string): void {
    while (!this.done && characters.includes(this.#text[this.at]!)) {
      this.at++;
    }
  }

  token(): string | undefined {
    TOKEN.lastIndex = this.at;
    const match = TOKEN.exec(this.#text);
    this.at = match === null ? this.at : TOKEN.lastIndex;
    return match?.[0];
  }

  take(character: string): boolean {
    const found = this.#text[this.at] === character;
    this.at += found ? 1 : 0;
    return found;
  }

  value(): string {
    if (!this.take('"')) {
      const start = this.at;
      while (!this.done && !', \t'.includes(this.#text[this.at]!)) {
        this.at++;
      }
      return this.#text.slice(start, this.at);
    }
    let value = '';
    while (!this.done && !this.take('"')) {
      this.take('\\');
      value += this.#text[this.at++] ?? '';
    }
    return value;
  }
}

/** Reads as much as is well formed; later challenges of a malformed header are lost. */
export function parseChallenges(header: string | readonly string[] | undefined): Challenge[] {
  const text = (typeof header === 'string' ? header : (header ?? []).join(', ')).slice(0, MAX_HEADER);
  const scanner = new Scanner(text);
  const challenges: Challenge[] = [];
  let parameters: Map<string, string> | undefined;
  for (;;) {
    scanner.skip(', \t');
    const name = scanner.token()?.toLowerCase();
    if (name === undefined) {
      return challenges;
    }
    const end = scanner.at;
    scanner.skip(' \t');
    if (parameters !== undefined && scanner.take('=')) {
      scanner.skip(' \t');
      const value = scanner.value();
      if (!parameters.has(name)) {
        parameters.set(name, value);
      }
    } else {
      scanner.at = end;
      parameters = new Map();
      challenges.push({ scheme: name, parameters });
    }
  }
}
