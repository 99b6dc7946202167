/**
 * Adds the caller's headers to requests to the caller's own origin, asked for
 * anew each time; those that are rejected are replaced once.
 */
import { abortable } from '../../async/abortable.js';
import type { HeadersAnswer, HeadersRequest, HttpRequest, Interceptor } from './message.js';

export const authorise: Interceptor = next => async request => {
  const { target, credentials } = request;
  if (!target.trusted) return next(request);
  const given = typeof credentials === 'function' ? await headersFor(request, undefined) : credentials;
  const reply = await next(withHeaders(request, given));
  const { status, headers } = reply;
  if ((status !== 401 && status !== 403) || typeof credentials !== 'function') return reply;
  let better: HeadersAnswer;
  try {
    better = await headersFor(request, { status, headers, sent: given });
  } catch (error) {
    reply.destroy();
    throw error;
  }
  if (better === undefined) return reply;
  await reply.discard();
  return next(withHeaders(request, better));
};

function withHeaders(request: HttpRequest, given: HeadersAnswer): HttpRequest {
  const headers: Record<string, string> = {};
  const { authorization } = request.target;
  if (authorization !== undefined) headers['authorization'] = authorization;
  for (const [name, value] of Object.entries(given ?? {})) headers[name.toLowerCase()] = value;
  return { ...request, headers: Object.assign(headers, request.headers) };
}

async function headersFor(
  { target, credentials, signal }: HttpRequest,
  rejected: HeadersRequest['rejected'],
): Promise<HeadersAnswer> {
  if (typeof credentials !== 'function') return credentials;
  const answer = credentials({ url: new URL(target.url), rejected, signal });
  return answer instanceof Promise ? await abortable(answer, signal) : answer;
}
