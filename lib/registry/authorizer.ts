/**
 * Says what goes into `Authorization` for one endpoint. Nothing is sent until
 * the endpoint asks; from then on tokens are fetched ahead, kept per repository
 * and scope, renewed before they expire and once more whenever one is refused.
 */

import { KeyedWork } from '../async/keyed-work.js';
import { SociError } from '../errors.js';
import { type Challenge, parseChallenges } from './challenge.js';
import type { CredentialProvider, Credentials } from './credentials.js';
import type { Endpoint } from './endpoint.js';
import type { ShownCredentials } from './explained-failure.js';
import { checkRealm } from './realm.js';
import { isRefusal } from './registry-error.js';
import { coversScopes, mergeScopes } from './scope.js';
import { basicAuthorization, fetchToken, type SendToTokenServer, type Token } from './token-server.js';

export interface AuthorizationRequest {
  readonly repository: string;
  readonly scopes: readonly string[];
  readonly signal: AbortSignal;
}

interface CredentialsNeeded extends AuthorizationRequest {
  /** Those that the provider gave last were refused. */
  readonly refused: boolean;
}

export interface Refusal {
  readonly status: number;
  readonly challenges: string | readonly string[] | undefined;
  /** What the refused request had in Authorization. */
  readonly sent: string | undefined;
}

type Scheme =
  | { readonly kind: 'basic' }
  | { readonly kind: 'bearer'; readonly realm: URL; readonly service: string | undefined };

interface CachedToken extends Token {
  readonly scopes: readonly string[];
}

const MAX_SCOPES = 20;
const MAX_REPOSITORIES = 1000;

export class Authorizer {
  readonly #endpoint: Endpoint;
  readonly #provider: CredentialProvider;
  readonly #send: SendToTokenServer;
  readonly #fetches = new KeyedWork<string, CachedToken>();
  /** Per repository, newest first. */
  readonly #tokens = new Map<string, CachedToken[]>();
  /** Per repository: what the provider gave last. */
  readonly #shown = new Map<string, ShownCredentials>();
  #scheme: Scheme | undefined;

  /** @param send One request to this endpoint or its token server; may retry what is transient. */
  constructor(endpoint: Endpoint, provider: CredentialProvider, send: SendToTokenServer) {
    this.#endpoint = endpoint;
    this.#provider = provider;
    this.#send = send;
  }

  /** The header's value; undefined as long as the endpoint has not asked for any. */
  async authorization(request: AuthorizationRequest): Promise<string | undefined> {
    switch (this.#scheme?.kind) {
      case undefined:
        return undefined;
      case 'basic':
        return await this.#basic({ ...request, refused: false });
      default:
        return await this.#bearer(request, mergeScopes(request.scopes));
    }
  }

  /**
   * A better value after a 401 or 403; undefined when there is none and the refusal stands.
   *
   * @throws SociError ERR_SOCI_REGISTRY_AUTH for a challenge that must not be answered,
   *   also when the token server refuses (401), ERR_SOCI_REGISTRY_DENIED (403), ERR_SOCI_CREDENTIALS.
   */
  async renew(request: AuthorizationRequest, refusal: Refusal): Promise<string | undefined> {
    const challenges = refusal.status === 401 ? parseChallenges(refusal.challenges) : [];
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
    if (bearer !== undefined) {
      this.#scheme = {
        kind: 'bearer',
        realm: checkRealm(bearer.parameters.get('realm'), this.#endpoint.root),
        service: bearer.parameters.get('service'),
      };
    } else if (challenges.some(({ scheme }) => scheme === 'basic')) {
      this.#scheme = { kind: 'basic' };
    }
    if (this.#scheme === undefined || (refusal.status === 403 && refusal.sent === undefined)) {
      return undefined;
    }
    if (this.#scheme.kind === 'basic') {
      const value = await this.#basic({ ...request, refused: refusal.sent !== undefined });
      return value === refusal.sent ? undefined : value;
    }
    this.#drop(request.repository, refusal.sent);
    const value = await this.#bearer(request, mergeScopes([...request.scopes, ...challengedScopes(bearer)]));
    // A ready-made token that was refused will be refused again.
    return value === refusal.sent ? undefined : value;
  }

  /** What `repository` was last asked with, for messages. */
  shown(repository: string): ShownCredentials {
    return this.#shown.get(repository) ?? { kind: 'not-asked' };
  }

  async #credentials({ repository, signal, refused }: CredentialsNeeded): Promise<Credentials | undefined> {
    const given = await this.#provider({ registry: this.#endpoint.account, repository, refused, signal });
    // Nothing newer than what was refused: that was shown.
    if (given !== undefined || !refused) {
      if (this.#shown.size >= MAX_REPOSITORIES) this.#shown.clear();
      const shown = given === undefined ? { kind: 'none' } : { kind: 'found', source: given.source };
      this.#shown.set(repository, shown as ShownCredentials);
    }
    return given;
  }

  async #basic(request: CredentialsNeeded): Promise<string | undefined> {
    const credentials = await this.#credentials(request);
    return credentials?.username === undefined ? undefined : basicAuthorization(credentials);
  }

  async #bearer(request: AuthorizationRequest, scopes: readonly string[]): Promise<string> {
    const known = this.#tokens.get(request.repository) ?? [];
    const usable = known.find(token => token.refreshAt > Date.now() && coversScopes(token.scopes, scopes));
    if (usable !== undefined) {
      return `Bearer ${usable.value}`;
    }
    const key = `${request.repository} ${scopes.join(' ')}`;
    const fetched = await this.#fetches.join(key, request.signal, signal =>
      this.#fetch({ ...request, signal }, scopes, signal),
    );
    return `Bearer ${fetched.value}`;
  }

  async #fetch(
    request: AuthorizationRequest,
    scopes: readonly string[],
    signal: AbortSignal,
  ): Promise<CachedToken> {
    const scheme = this.#scheme;
    if (scheme?.kind !== 'bearer') {
      throw new SociError(
        'ERR_SOCI_REGISTRY_AUTH',
        `${this.#endpoint.root.host} changed its authentication scheme`,
      );
    }
    let credentials: Credentials | undefined;
    let unreadable: unknown;
    try {
      credentials = await this.#credentials({ ...request, refused: false });
    } catch (error) {
      // Public images need no credentials, so a broken helper must not stand in their way.
      if (!(error instanceof SociError && error.code === 'ERR_SOCI_CREDENTIALS')) {
        throw error;
      }
      unreadable = error;
    }
    const ask = async (given: Credentials | undefined): Promise<Token> =>
      given?.registryToken !== undefined
        ? { value: given.registryToken, refreshAt: Number.POSITIVE_INFINITY }
        : await fetchToken({ ...scheme, scopes, credentials: given, signal }, this.#send);
    try {
      return this.#keep(request.repository, { ...(await ask(credentials)), scopes });
    } catch (error) {
      if (!isRefusal(error)) throw error;
      if (unreadable !== undefined) {
        throw unreadable;
      }
      const newer =
        credentials === undefined ? undefined : await this.#credentials({ ...request, refused: true });
      if (newer === undefined || JSON.stringify(newer) === JSON.stringify(credentials)) {
        throw error;
      }
      return this.#keep(request.repository, { ...(await ask(newer)), scopes });
    }
  }

  #keep(repository: string, token: CachedToken): CachedToken {
    const others = (this.#tokens.get(repository) ?? []).filter(
      known => known.refreshAt > Date.now() && !coversScopes(token.scopes, known.scopes),
    );
    if (this.#tokens.size >= MAX_REPOSITORIES && !this.#tokens.has(repository)) {
      this.#tokens.clear();
    }
    this.#tokens.set(repository, [token, ...others]);
    return token;
  }

  #drop(repository: string, sent: string | undefined): void {
    const left = (this.#tokens.get(repository) ?? []).filter(token => `Bearer ${token.value}` !== sent);
    this.#tokens.set(repository, left);
  }
}

function challengedScopes(challenge: Challenge | undefined): string[] {
  const scopes = (challenge?.parameters.get('scope') ?? '')
    .split(' ')
    .filter(scope => /^[^:]+:.+:[^:]+$/.test(scope));
  return scopes.slice(0, MAX_SCOPES);
}
