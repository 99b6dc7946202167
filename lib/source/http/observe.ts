/** Counts requests where the caller wants it, and publishes each one once the body of its reply has ended. */
import { publish } from '../../observe/channels.js';
import type { Interceptor } from './message.js';
import { redactUrl } from './redact.js';

export const observe: Interceptor = next => async request => {
  request.signal.throwIfAborted();
  const { method, target, headers, stats } = request;
  const startedAt = performance.now();
  if (stats) stats.requests += 1;
  return await next({
    ...request,
    watcher: {
      received(length) {
        if (stats) stats.bytes += length;
      },
      ended(status, bytes) {
        publish('seekable-oci:http:request', () => ({
          method,
          url: redactUrl(target.url),
          range: headers['range'],
          status,
          bytes,
          ms: performance.now() - startedAt,
        }));
      },
    },
  });
};
