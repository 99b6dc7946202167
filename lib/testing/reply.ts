/** What a route answers with, before faults are applied and before it becomes bytes on a socket. */

export interface Reply {
  readonly status: number;
  /** Default: none. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array> | undefined;
}

export interface RegistryRequest {
  readonly method: string;
  /** Path without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export function jsonReply(
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): Reply {
  const body = Buffer.from(JSON.stringify(value));
  return {
    status,
    headers: { 'content-type': 'application/json', 'content-length': String(body.length), ...headers },
    body,
  };
}

/** An error in the form of the distribution specification. */
export function errorReply(
  status: number,
  code: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): Reply {
  return jsonReply(status, { errors: [{ code, message }] }, headers);
}

export function emptyReply(status: number, headers: Readonly<Record<string, string>> = {}): Reply {
  return { status, headers: { 'content-length': '0', ...headers } };
}
