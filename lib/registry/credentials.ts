/** What proves who we are to a registry, and where it may come from. */

export interface Credentials {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** An OAuth2 refresh token, traded for access tokens at the registry's token server. */
  readonly identityToken?: string | undefined;
  /** A ready access token, sent as it is. */
  readonly registryToken?: string | undefined;
  /** Where they were found (a file, a helper), for messages. Never sent. */
  readonly source?: string | undefined;
}

export interface CredentialRequest {
  /** Registry as references name it, e.g. `docker.io`; of a mirror: its host and port. */
  readonly registry: string;
  readonly repository: string;
  /** The credentials given last time were refused: anything remembered is stale. */
  readonly refused: boolean;
  readonly signal: AbortSignal | undefined;
}

/** Asked whenever credentials are about to be used; undefined means to go on as nobody in particular. */
export type CredentialProvider = (
  request: CredentialRequest,
) => Credentials | undefined | Promise<Credentials | undefined>;

const DOCKER_HUB: ReadonlySet<string> = new Set([
  'docker.io',
  'index.docker.io',
  'registry-1.docker.io',
  'registry.hub.docker.com',
]);
/** The name under which docker stores credentials of Docker Hub. */
export const DOCKER_HUB_SERVER = 'https://index.docker.io/v1/';

export function isDockerHub(registry: string): boolean {
  return DOCKER_HUB.has(registry);
}
