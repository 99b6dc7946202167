/**
 * How failures of a registry are worded: method, redacted URL, status, and the
 * codes and messages of the distribution specification. A registry's own words
 * are cut, stripped of control characters and of the secrets in URLs.
 */
import { SociError, type SociErrorCode } from '../errors.js';
import { httpError, type RequestLine, statusText } from '../source/http/http-error.js';
import type { HttpReply, Interceptor } from '../source/http/message.js';
import { redactUrl } from '../source/http/redact.js';
import { askedWait } from '../source/http/reply-check.js';
import { sentSecrets } from './sent-secrets.js';

export interface RegistryErrorEntry {
  readonly code: string;
  readonly message: string;
}

/** What Go's and nginx's servers answer to plain HTTP on a TLS port. */
const TLS_WANTED = /HTTP request (?:was sent )?to (?:an )?HTTPS (?:server|port)/i;
/** The same in our words. */
export const WANTS_TLS = 'the server expects HTTPS';
const MAX_ENTRIES = 5;
const MAX_MESSAGE = 300;
/** Bytes of an error's body that are worth reading. */
const EXCERPT = 64 * 1024;

function plain(value: unknown, limit: number, secrets: readonly string[]): string {
  const text = typeof value === 'string' ? value : '';
  return secrets
    .reduce((shown, secret) => shown.replaceAll(secret, 'REDACTED'), text)
    .slice(0, limit * 4)
    .replace(/https?:\/\/[^\s"'<>]+/g, url => redactUrl(url))
    .replace(/[^\x20-\x7e\u00a0-\ud7ff]+/g, ' ')
    .trim()
    .slice(0, limit);
}

/**
 * The entries of an error body; none when it is not in the specified form.
 *
 * @param secrets What must not be shown of what the server may have quoted.
 */
export function parseErrorBody(body: Uint8Array, secrets: readonly string[]): RegistryErrorEntry[] {
  const text = new TextDecoder().decode(body);
  if (TLS_WANTED.test(text)) {
    return [{ code: '', message: WANTS_TLS }];
  }
  try {
    const document = JSON.parse(text) as Record<string, unknown> | null;
    const list = document?.['errors'];
    // Token servers and some proxies answer with a single object.
    const entries: unknown[] = Array.isArray(list) ? list : document === null ? [] : [document];
    return entries.slice(0, MAX_ENTRIES).flatMap(entry => {
      const { code, message, details } = (entry ?? {}) as Record<string, unknown>;
      const found = {
        code: plain(code, 64, secrets),
        message: plain(message ?? details, MAX_MESSAGE, secrets),
      };
      return found.code === '' && found.message === '' ? [] : [found];
    });
  } catch {
    return [];
  }
}

/** What a status that is no answer means of a registry. */
export function registryCode(status: number): SociErrorCode {
  switch (status) {
    case 401:
      return 'ERR_SOCI_REGISTRY_AUTH';
    case 403:
      return 'ERR_SOCI_REGISTRY_DENIED';
    case 404:
    case 410:
      return 'ERR_SOCI_REGISTRY_NOT_FOUND';
    default:
      return 'ERR_SOCI_HTTP_STATUS';
  }
}

/** Whether the registry or its token server said no (401, 403), rather than fail. */
export function isRefusal(error: unknown): boolean {
  if (!(error instanceof SociError)) return false;
  const refused = error.code === 'ERR_SOCI_REGISTRY_DENIED' || error.code === 'ERR_SOCI_REGISTRY_AUTH';
  return refused && [401, 403].includes(Number(error.data['status']));
}

/**
 * The error for a reply that is no answer; reads or closes its body. `data`: url, status, errors, retryAfter (ms),
 * temporary.
 */
export async function statusError(reply: HttpReply): Promise<SociError> {
  const { request, status } = reply;
  const errors = parseErrorBody(await excerpt(reply), sentSecrets(request));
  const details = errors.map(({ code, message }) => [code, message].filter(part => part !== '').join(': '));
  const said = details.length === 0 ? '' : ` (${details.join('; ')})`;
  const data = { status, errors, ...askedWait(reply) };
  return httpError(registryCode(status), reply, `${statusText(status)}${said}`, data);
}

/** Makes errors of replies whose status is no answer to what was asked. */
export function answersOnly(isAnswer: (status: number) => boolean): Interceptor {
  return next => async request => {
    const reply = await next(request);
    if (isAnswer(reply.status)) {
      return reply;
    }
    throw await statusError(reply);
  };
}

/** The start of a body that only explains: if it cannot be had, there is no explanation. */
async function excerpt(reply: HttpReply): Promise<Uint8Array> {
  try {
    return await reply.bytes(EXCERPT);
  } catch {
    reply.request.signal.throwIfAborted();
    return new Uint8Array();
  }
}

/** An answer that breaks the protocol: a missing header, a wrong type, a body of the wrong size. */
export function protocolError(at: RequestLine, detail: string): SociError {
  return httpError('ERR_SOCI_REGISTRY_PROTOCOL', at, detail);
}
