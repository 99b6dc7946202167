/** What is said of requests: of each one with `--debug`, of those that wait long unless `--quiet`. */
import { type HttpRequestEvent, subscribe } from '../observe/channels.js';
import { byteText } from './byte-text.js';
import type { Invocation } from './command.js';
import type { Reporter } from './reporter.js';

/** Until the function that is returned is called. */
export function reportRequests(reporter: Reporter, { options }: Invocation): () => void {
  const ends: (() => void)[] = [];
  if (options['debug'] === true) {
    ends.push(subscribe('seekable-oci:http:request', event => reporter.debug(requestText(event))));
  }
  if (options['quiet'] !== true) {
    ends.push(
      subscribe('seekable-oci:http:waiting', ({ method, url, ms }) => {
        reporter.line(`still waiting for ${method} ${url}: nothing has come for ${ms / 1000} s (--timeout)`);
      }),
    );
  }
  return () => {
    for (const end of ends) end();
  };
}

function requestText({ method, url, range, status, bytes, ms }: HttpRequestEvent): string {
  const what = range === undefined ? `${method} ${url}` : `${method} ${url} ${range}`;
  return `${status ?? 'failed'} ${what} ${byteText(bytes)} ${ms.toFixed(0)} ms`;
}
