/** A request that is answered with an error status; the message is the body. */
import { STATUS_CODES } from 'node:http';

export class Refusal extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, detail: string, headers: Readonly<Record<string, string>> = {}) {
    super(`${status} ${STATUS_CODES[status]}: ${detail}`);
    this.status = status;
    this.headers = headers;
  }
}

/** What a failure of the library means to who asked. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  const code = (error as { readonly code?: unknown } | null)?.code;
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ELOOP':
      return new Refusal(404, 'the image has no such file');
    case 'ERR_SOCI_CLOSED':
      return new Refusal(503, 'the image is closed');
    default:
      // The registry, or what it sent: nothing that the client could mend. The reason may name hosts.
      return new Refusal(502, `the image cannot be read${typeof code === 'string' ? ` [${code}]` : ''}`);
  }
}
