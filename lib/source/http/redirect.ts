/** Follows redirects, by the rules of location.ts; what is trusted on the way is decided by target.ts. */
import { isRedirect, locationOf, redirectError } from './location.js';
import type { Interceptor } from './message.js';
import { redirected } from './target.js';

const MAX_REDIRECTS = 10;

export const redirect: Interceptor = next => async request => {
  if (request.redirects === 'return') return next(request);
  let hop = request;
  for (let followed = 0; ; followed++) {
    const reply = await next(hop);
    if (!isRedirect(reply.status)) return reply;
    await reply.discard();
    if (request.stats) request.stats.redirects += 1;
    if (followed === MAX_REDIRECTS) {
      const start = { method: request.method, url: request.target.url };
      throw redirectError(start, `more than ${MAX_REDIRECTS} redirects in a row`);
    }
    hop = { ...request, target: redirected(hop.target, locationOf(reply)) };
  }
};
