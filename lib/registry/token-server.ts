/**
 * The client of a token server (distribution's token specification): a GET with
 * basic credentials or none, or an OAuth2 POST when there is an identity token.
 */
import { SociError } from '../errors.js';
import type { HttpReply, HttpRequest } from '../source/http/message.js';
import { redactUrl } from '../source/http/redact.js';
import { basic } from '../source/http/target.js';
import type { Credentials } from './credentials.js';
import { statusError } from './registry-error.js';

export interface Token {
  readonly value: string;
  /** `Date.now()` after which it is not used any more: somewhat before it expires. */
  readonly refreshAt: number;
}

export interface TokenRequest {
  /** Checked by checkRealm. */
  readonly realm: URL;
  readonly service: string | undefined;
  readonly scopes: readonly string[];
  readonly credentials: Credentials | undefined;
  readonly signal: AbortSignal;
}

/** What is sent to a token server. */
export interface TokenMessage extends Pick<HttpRequest, 'method' | 'headers' | 'signal'> {
  readonly url: URL;
  readonly body?: Uint8Array;
}

/** Sends it, not following redirects; may repeat what is temporary. */
export type SendToTokenServer = (message: TokenMessage) => Promise<HttpReply>;

const CLIENT_ID = 'seekable-oci';
const MAX_ANSWER = 1024 * 1024;
/** RFC 6750 §2.1, which also keeps line breaks out of the header. */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;
const MAX_TOKEN = 128 * 1024;
/** The specification's default; some servers say 0 or nothing and mean it. */
const DEFAULT_LIFETIME = 60;
const MAX_LIFETIME = 24 * 3600;

export function basicAuthorization(credentials: Credentials): string {
  return basic(credentials.username ?? '', credentials.password ?? '');
}

function tokenGet({ realm, service, scopes, credentials, signal }: TokenRequest): TokenMessage {
  const url = new URL(realm);
  if (service !== undefined) {
    url.searchParams.set('service', service);
  }
  for (const scope of scopes) {
    url.searchParams.append('scope', scope);
  }
  const named = credentials?.username !== undefined && credentials.password !== undefined;
  if (named) {
    url.searchParams.set('account', credentials.username!);
  }
  return {
    method: 'GET',
    url,
    headers: named ? { authorization: basicAuthorization(credentials) } : {},
    signal,
  };
}

function tokenPost({ realm, service, scopes, credentials, signal }: TokenRequest): TokenMessage {
  const form = new URLSearchParams({
    grant_type: 'refresh_token',
    client_id: CLIENT_ID,
    refresh_token: credentials?.identityToken ?? '',
    scope: scopes.join(' '),
    ...(service === undefined ? {} : { service }),
  });
  return {
    method: 'POST',
    url: realm,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: Buffer.from(form.toString()),
    signal,
  };
}

function parseToken(body: Uint8Array, url: URL, sentAt: number): Token {
  const shown = redactUrl(url);
  const fail = (detail: string): SociError =>
    new SociError('ERR_SOCI_REGISTRY_AUTH', `Token server ${shown}: ${detail}`, { data: { url: shown } });
  let answer: Readonly<Record<string, unknown>> | null;
  try {
    answer = JSON.parse(new TextDecoder().decode(body)) as typeof answer;
  } catch {
    throw fail('its answer is not JSON');
  }
  const value = answer?.['token'] || answer?.['access_token'];
  if (typeof value !== 'string' || value.length > MAX_TOKEN || !TOKEN.test(value)) {
    throw fail('its answer has no usable token');
  }
  const stated = Number(answer?.['expires_in'] ?? DEFAULT_LIFETIME);
  const lifetime = stated > 0 ? Math.min(stated, MAX_LIFETIME) : DEFAULT_LIFETIME;
  // A request that starts with a token should also end with it.
  const margin = Math.min(30, lifetime / 4);
  return { value, refreshAt: sentAt + (lifetime - margin) * 1000 };
}

/**
 * @throws SociError ERR_SOCI_REGISTRY_AUTH when the server refuses (401) or its answer makes no sense,
 *   ERR_SOCI_REGISTRY_DENIED (403).
 */
export async function fetchToken(request: TokenRequest, send: SendToTokenServer): Promise<Token> {
  const sentAt = Date.now();
  const message = request.credentials?.identityToken === undefined ? tokenGet(request) : tokenPost(request);
  const answer = await send(message);
  if (answer.status !== 200) {
    const error = await statusError(answer);
    // What a token server does not find, or redirects, is no token all the same.
    throw error.code === 'ERR_SOCI_REGISTRY_NOT_FOUND' || (answer.status >= 300 && answer.status < 400)
      ? new SociError('ERR_SOCI_REGISTRY_AUTH', `Token server: ${error.message}`, { data: error.data })
      : error;
  }
  return parseToken(await answer.bytes(MAX_ANSWER), message.url, sentAt);
}
