/**
 * No request leaves for a host that nobody may send us to, however its URL was
 * come by. What a name resolves to is looked at once more when connecting
 * (guarded-lookup.ts).
 */
import { forbiddenHost } from './forbidden-host.js';
import { redirectError } from './location.js';
import type { Interceptor } from './message.js';

export const guard: Interceptor = next => request => {
  const { url, home } = request.target;
  const forbidden = forbiddenHost(url, home);
  if (forbidden === undefined) return next(request);
  return Promise.reject(redirectError({ method: request.method, url }, `it leads to ${forbidden}`));
};
