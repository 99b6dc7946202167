/** Which token server a challenge may send us to: its realm is chosen by the other side. */
import { SociError } from '../errors.js';
import { refusalOf } from '../source/http/location.js';
import { redactUrl } from '../source/http/redact.js';

/**
 * Checks the token server that `registry` named.
 *
 * @param registry Base URL of the registry that sent the challenge.
 * @throws SociError ERR_SOCI_REGISTRY_AUTH
 */
export function checkRealm(realm: string | undefined, registry: URL): URL {
  if (realm === undefined || !URL.canParse(realm)) {
    throw refused('Bearer challenge of', registry, 'its realm is not an absolute URL');
  }
  const url = new URL(realm);
  const refusal = refusalOf(url, registry);
  if (refusal !== undefined) {
    throw refused('Token server', url, `it ${refusal}`);
  }
  url.hash = '';
  return url;
}

function refused(role: string, url: URL, reason: string): SociError {
  const shown = redactUrl(url);
  return new SociError('ERR_SOCI_REGISTRY_AUTH', `${role} ${shown} refused: ${reason}`, {
    data: { url: shown, role },
  });
}
