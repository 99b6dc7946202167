/** Authentication of the in-process registry: none, basic, or bearer tokens from a token server at `/token`. */
import { randomBytes } from 'node:crypto';

import { emptyReply, errorReply, jsonReply, type RegistryRequest, type Reply } from './reply.js';

export interface RegistryAuth {
  readonly type: 'basic' | 'bearer';
  readonly username: string;
  readonly password: string;
  /** Lifetime of bearer tokens in seconds. Default 300. */
  readonly tokenLifetime?: number | undefined;
  /** An identity token that the token server takes with `grant_type=refresh_token`. */
  readonly identityToken?: string | undefined;
  /** Whether tokens to pull are given to anybody. Default false. */
  readonly anonymousPull?: boolean | undefined;
  /** Where clients are told to fetch tokens. Default: `/token` of this registry. */
  readonly realm?: string | undefined;
}

interface IssuedToken {
  readonly scopes: readonly string[];
  readonly expires: number;
}

export class RegistryAuthenticator {
  readonly #auth: RegistryAuth;
  readonly #realm: string;
  readonly #tokens = new Map<string, IssuedToken>();

  constructor(auth: RegistryAuth, origin: string) {
    this.#auth = auth;
    this.#realm = auth.realm ?? `${origin}/token`;
  }

  /** Makes every token given out so far worthless. */
  revokeTokens(): void {
    this.#tokens.clear();
  }

  /** The refusal, or undefined when the request may pass. `needed` are scopes such as `repository:app:pull`. */
  check(request: RegistryRequest, needed: readonly string[]): Reply | undefined {
    const authorization = request.headers['authorization'] ?? '';
    if (this.#auth.type === 'basic') {
      return this.#isBasic(authorization)
        ? undefined
        : errorReply(401, 'UNAUTHORIZED', 'authentication required', {
            'www-authenticate': 'Basic realm="test"',
          });
    }
    const token = this.#tokens.get(authorization.replace(/^Bearer /, ''));
    if (
      token !== undefined &&
      token.expires > Date.now() &&
      needed.every(scope => this.#grants(token, scope))
    ) {
      return undefined;
    }
    const scope = needed.length === 0 ? '' : `,scope="${needed.join(' ')}"`;
    return errorReply(401, 'UNAUTHORIZED', 'authentication required', {
      'www-authenticate': `Bearer realm="${this.#realm}",service="test"${scope}`,
    });
  }

  /** The token server. */
  issue(request: RegistryRequest): Reply {
    const form = new URLSearchParams(Buffer.from(request.body).toString());
    const scopes = request.method === 'POST' ? form.getAll('scope') : request.query.getAll('scope');
    const known =
      request.method === 'POST'
        ? form.get('grant_type') === 'refresh_token' && form.get('refresh_token') === this.#auth.identityToken
        : this.#isBasic(request.headers['authorization'] ?? '');
    const list = scopes.flatMap(scope => scope.split(' ')).filter(scope => scope !== '');
    const anonymous = request.headers['authorization'] === undefined && request.method === 'GET';
    if (
      !known &&
      !(anonymous && this.#auth.anonymousPull === true && list.every(scope => scope.endsWith(':pull')))
    ) {
      return errorReply(401, 'UNAUTHORIZED', 'incorrect username or password');
    }
    const token = randomBytes(16).toString('hex');
    const lifetime = this.#auth.tokenLifetime ?? 300;
    this.#tokens.set(token, { scopes: list, expires: Date.now() + lifetime * 1000 });
    return jsonReply(200, {
      token,
      access_token: token,
      expires_in: lifetime,
      issued_at: new Date().toISOString(),
    });
  }

  #isBasic(authorization: string): boolean {
    const expected = Buffer.from(`${this.#auth.username}:${this.#auth.password}`).toString('base64');
    return authorization === `Basic ${expected}`;
  }

  #grants(token: IssuedToken, needed: string): boolean {
    const [type, name, actions = ''] = needed.split(/:(?=[^:]*:|[^:]*$)/);
    return actions.split(',').every(action =>
      token.scopes.some(scope => {
        const [grantedType, grantedName, granted = ''] = scope.split(/:(?=[^:]*:|[^:]*$)/);
        return grantedType === type && grantedName === name && granted.split(',').includes(action);
      }),
    );
  }
}

/** The scopes that a request to a repository needs. */
export function scopesOf(request: RegistryRequest, repository: string): string[] {
  const write = request.method !== 'GET' && request.method !== 'HEAD';
  const scopes = [`repository:${repository}:${write ? 'pull,push' : 'pull'}`];
  const from = request.query.get('from');
  return write && from !== null ? [...scopes, `repository:${from}:pull`] : scopes;
}

/** To a request for the API's root. */
export function pingReply(): Reply {
  return emptyReply(200, { 'docker-distribution-api-version': 'registry/2.0' });
}
