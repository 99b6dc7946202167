/** `Link: <…>; rel="next"` (RFC 8288), by which registries page their lists. */
import type { ExchangeAnswer } from './exchange.js';
import { protocolError } from './registry-error.js';

/**
 * The next page of `answer`, if it names one.
 *
 * @throws SociError ERR_SOCI_REGISTRY_PROTOCOL when it is not on the same origin: the token would follow it.
 */
export function nextPage(answer: ExchangeAnswer): URL | undefined {
  for (const link of (answer.header('link') ?? '').split(/,(?=\s*<)/)) {
    const match = /^\s*<([^>]*)>((?:\s*;[^;]*)*)$/.exec(link.slice(0, 8192));
    if (match === null || !/;\s*rel\s*=\s*"?(?:[^";]*\s)?next(?:\s[^";]*)?"?\s*(?:;|$)/i.test(match[2]!)) {
      continue;
    }
    const base = answer.url.href;
    if (!URL.canParse(match[1]!, base) || new URL(match[1]!, base).origin !== answer.url.origin) {
      throw protocolError('GET', answer.url, 'its Link to the next page leads to another host');
    }
    return new URL(match[1]!, base);
  }
  return undefined;
}
