/**
 * What may be shown of a URL and of a server's words. Presigned URLs carry their
 * credentials in query values and some people put passwords in the userinfo, so
 * messages, events and names only ever see URLs that went through here.
 */

const HIDDEN = 'REDACTED';

/** The URL without userinfo and fragment, its query values replaced; keys stay, since they tell which signer made it. */
export function redactUrl(input: string | URL): string {
  let url: URL;
  try {
    url = new URL(input);
  } catch {
    return '(not a URL)';
  }
  url.username = '';
  url.password = '';
  url.hash = '';
  if (url.search !== '') {
    const fields = url.search.slice(1).split('&');
    url.search = fields.map(redactField).join('&');
  }
  return url.href;
}

function redactField(field: string): string {
  const equals = field.indexOf('=');
  return equals === -1 ? HIDDEN : `${field.slice(0, equals)}=${HIDDEN}`;
}

/** A header's value is the server's: quoted in part and without control characters. */
export function shownValue(value: string | number): string {
  return String(value)
    .replace(/[^\x20-\x7e]/g, '?')
    .slice(0, 100);
}
