/**
 * What to do about failures that a registry's answer alone does not explain:
 * refusals, by which credentials were found and where, and TLS on one side only.
 * Never says a secret.
 */
import { SociError, type SociErrorCode } from '../errors.js';
import type { Endpoint } from './endpoint.js';
import { isRefusal, WANTS_TLS } from './registry-error.js';

/** What a registry was shown: nothing was asked for, nothing was found, or credentials from somewhere. */
export type ShownCredentials =
  | { readonly kind: 'not-asked' }
  | { readonly kind: 'none' }
  | { readonly kind: 'found'; readonly source: string | undefined };

/** OpenSSL, when what should be a handshake is an HTTP answer. */
const NO_TLS: ReadonlySet<unknown> = new Set([
  'EPROTO',
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_PACKET_LENGTH_TOO_LONG',
  'ERR_SSL_UNEXPECTED_MESSAGE',
  'ERR_SSL_UNKNOWN_PROTOCOL',
]);
/** A TLS server hangs up on plain HTTP, or answers with an alert that is no HTTP. */
const HANGS_UP: ReadonlySet<unknown> = new Set(['UND_ERR_SOCKET', 'ECONNRESET']);
const NO_HTTP = /^(?:Expected HTTP|Invalid|HPE_)/;

/** `error`, with what to do about it where that is known. */
export function explainedFailure(
  error: unknown,
  { root, account }: Endpoint,
  shown: ShownCredentials,
): unknown {
  if (!(error instanceof SociError) || error.data['explained'] === true) return error;
  if (isRefusal(error)) {
    // 403 to somebody known is a matter of rights, 401 one of credentials.
    const code = error.data['status'] === 401 ? 'ERR_SOCI_REGISTRY_AUTH' : error.code;
    return explained(error, code as SociErrorCode, credentialsText(shown, account), sourceOf(shown));
  }
  const { reason } = error.data;
  const host = hostOf(error) ?? root.host;
  if (host !== root.host) return error;
  if (root.protocol === 'https:' && NO_TLS.has(reason)) {
    const text =
      `${host} does not speak TLS: https is the default except on this machine and with --plain-http ` +
      '(hosts: { plainHttp: true }), which goes without';
    return explained(error, 'ERR_SOCI_HTTP_NETWORK', text);
  }
  if (root.protocol === 'http:' && (wantsTls(error) || hangsUp(error))) {
    const text = wantsTls(error)
      ? 'it was spoken to without TLS'
      : 'it may expect TLS, and was spoken to without';
    const why =
      'https is the default except on this machine and with --plain-http; --tls (plainHttp: false) demands it';
    return explained(error, error.code as SociErrorCode, `${text}: ${why}`);
  }
  return error;
}

function credentialsText(shown: ShownCredentials, registry: string): string {
  const logIn = `log in with \`docker login ${registry}\`, or give --user and --password-stdin (credentials)`;
  switch (shown.kind) {
    case 'found':
      return `the credentials ${shown.source === undefined ? 'given' : `from ${shown.source}`} do not open it; ${logIn}`;
    case 'none':
      return `no credentials for ${registry} were found, and a repository that is not there is refused as well; ${logIn}`;
    default:
      return 'no credentials were sent, since none were asked for';
  }
}

function sourceOf(shown: ShownCredentials): Readonly<Record<string, unknown>> {
  return { credentials: shown.kind, ...(shown.kind === 'found' ? { source: shown.source } : {}) };
}

function explained(
  { message, data, cause }: SociError,
  code: SociErrorCode,
  text: string,
  more: Readonly<Record<string, unknown>> = {},
): SociError {
  // OpenSSL ends its words with a colon and a line feed.
  const said = message.replace(/[:\s]+$/, '');
  return new SociError(code, `${said}: ${text}`, { data: { ...data, ...more, explained: true }, cause });
}

function hostOf({ data: { url } }: SociError): string | undefined {
  return typeof url === 'string' && URL.canParse(url) ? new URL(url).host : undefined;
}

function wantsTls({ data: { errors } }: SociError): boolean {
  return Array.isArray(errors) && errors.some(({ message }) => message === WANTS_TLS);
}

function hangsUp({ code, data: { reason } }: SociError): boolean {
  if (code !== 'ERR_SOCI_HTTP_NETWORK') return false;
  return HANGS_UP.has(reason) || (typeof reason === 'string' && NO_HTTP.test(reason));
}
