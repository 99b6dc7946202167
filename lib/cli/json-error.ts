/**
 * An error as one line of JSON on standard error, for programs that asked for
 * their results as JSON: `{"error":{"code":…,"message":…,"data":{…}}}`. Control
 * characters are escaped by JSON itself.
 */

/** Also for a command line that cannot be parsed: the words are all that there is then. */
export function asksForJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return (end < 0 ? argv : argv.slice(0, end)).includes('--json');
}

/** An error without a code is a fault of this program: its stack is what a report needs. */
export function errorAsJson(error: unknown): string {
  const { message, code, data, stack } = error as Error & { code?: string; data?: object };
  const described =
    code === undefined ? { code: 'ERR_INTERNAL', message: stack ?? String(error) } : { code, message, data };
  return JSON.stringify({ error: described }, (_, value) =>
    typeof value === 'bigint' ? value.toString() : value,
  );
}
