/**
 * What of a request must not come back in a message. Servers and proxies like to
 * quote the header or the token that they refuse, and messages end up in logs.
 */
import type { HttpRequest } from '../source/http/message.js';

/** Shorter ones are parts of ordinary words: hiding them would garble messages, and tell what they are. */
const MIN_LENGTH = 4;

/** The credentials in a request, in the forms that a server sees. */
export function sentSecrets({ headers, body }: Pick<HttpRequest, 'headers' | 'body'>): string[] {
  const [scheme = '', value = ''] = (headers['authorization'] ?? '').split(' ', 2);
  const secrets = [value];
  if (scheme.toLowerCase() === 'basic') {
    const pair = Buffer.from(value, 'base64').toString();
    secrets.push(pair.slice(pair.indexOf(':') + 1));
  }
  if (body instanceof Uint8Array && headers['content-type'] === 'application/x-www-form-urlencoded') {
    secrets.push(new URLSearchParams(Buffer.from(body).toString()).get('refresh_token') ?? '');
  }
  return secrets.filter(secret => secret.length >= MIN_LENGTH);
}
