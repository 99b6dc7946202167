/** `Link: <…>; rel="next"` (RFC 8288), by which registries page their lists. */
import type { HttpReply } from '../source/http/message.js';
import { protocolError } from './registry-error.js';

/**
 * The next page of `answer`, if it names one.
 *
 * @throws SociError ERR_SOCI_REGISTRY_PROTOCOL when it is not on the same origin: the token would follow it.
 */
export function nextPage(answer: Pick<HttpReply, 'header' | 'method' | 'url'>): URL | undefined {
  for (const link of (answer.header('link') ?? '').split(/,(?=\s*<)/)) {
    const match = /^\s*<([^>]*)>(.*)$/s.exec(link);
    if (match === null || !isNext(match[2]!)) {
      continue;
    }
    const base = answer.url.href;
    if (!URL.canParse(match[1]!, base) || new URL(match[1]!, base).origin !== answer.url.origin) {
      throw protocolError(answer, 'its Link to the next page leads to another host');
    }
    return new URL(match[1]!, base);
  }
  return undefined;
}

/** Whether the parameters behind a link give it the relation `next`, among others perhaps. */
function isNext(parameters: string): boolean {
  return parameters.split(';').some(parameter => {
    const [name = '', value = ''] = parameter.split('=', 2);
    const relations = value.trim().replace(/^"|"$/g, '').toLowerCase().split(/\s+/);
    return name.trim().toLowerCase() === 'rel' && relations.includes('next');
  });
}
