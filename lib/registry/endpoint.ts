/**
 * Endpoints: the hosts that may serve a registry's content, mirrors before the
 * registry itself, each with its own transport security.
 */
import { invalidArgument } from '../errors.js';
import { isLoopbackHost } from '../source/http/forbidden-host.js';
import { registryHost } from './reference.js';

export interface TlsOptions {
  /** PEM certificates trusted besides the usual roots. */
  readonly ca?: string | readonly string[] | undefined;
  /** PEM, shown to this host only. */
  readonly clientCertificate?: { readonly cert: string; readonly key: string } | undefined;
  /** Accept any certificate of this host. */
  readonly skipVerify?: boolean | undefined;
}

/** What a host is used for: `pull` content by digest, `resolve` tags, `push`. */
export type HostCapability = 'pull' | 'resolve' | 'push';

export interface MirrorOptions extends TlsOptions {
  /** Base URL; `/v2` is appended unless `overridePath`. */
  readonly url: string;
  readonly capabilities?: readonly HostCapability[] | undefined;
  /** The path of `url` is the API root as it stands. */
  readonly overridePath?: boolean | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export interface HostOptions extends TlsOptions {
  /** Speak HTTP without TLS. Default: only to this machine, and only when nothing here concerns TLS. */
  readonly plainHttp?: boolean | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Tried in order before the registry. */
  readonly mirrors?: readonly MirrorOptions[] | undefined;
  /** The registry itself, when it is not at the host that references name. */
  readonly server?: MirrorOptions | undefined;
}

export interface Endpoint {
  /** API root with a final slash, e.g. `https://registry-1.docker.io/v2/`. */
  readonly root: URL;
  /** The registry whose content it serves. */
  readonly registry: string;
  /** Whose credentials it gets: the registry's own, or those of the mirror's host. */
  readonly account: string;
  readonly mirror: boolean;
  readonly capabilities: ReadonlySet<HostCapability>;
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: TlsOptions;
}

const ALL: readonly HostCapability[] = ['pull', 'resolve', 'push'];

function usesTls(options: HostOptions): boolean {
  return (
    options.ca !== undefined || options.clientCertificate !== undefined || options.skipVerify !== undefined
  );
}

function rootOf({ url: text, overridePath }: MirrorOptions): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') {
    throw invalidArgument("a registry host's url", 'an http or https URL without user', text);
  }
  const path = url.pathname.replace(/\/+$/, '');
  url.search = '';
  url.hash = '';
  url.pathname = overridePath || path.endsWith('/v2') ? `${path}/` : `${path}/v2/`;
  return url;
}

function endpoint(options: MirrorOptions, registry: string, role: 'mirror' | 'registry'): Endpoint {
  const root = rootOf(options);
  const mirror = role === 'mirror';
  return {
    root,
    registry,
    account: mirror ? root.host : registry,
    mirror,
    capabilities: new Set(options.capabilities ?? (mirror ? ['pull', 'resolve'] : ALL)),
    headers: options.headers ?? {},
    tls: options,
  };
}

/**
 * The endpoints of `registry`, mirrors first and the registry itself last.
 *
 * @throws SociError ERR_SOCI_INVALID_ARGUMENT for URLs that cannot be a registry.
 */
export function endpointsOf(registry: string, options: HostOptions): Endpoint[] {
  const host = registryHost(registry);
  const local = isLoopbackHost(host.replace(/:\d+$/, ''));
  const scheme = (options.plainHttp ?? (local && !usesTls(options))) ? 'http' : 'https';
  const server: MirrorOptions = options.server ?? { ...options, url: `${scheme}://${host}` };
  return [
    ...(options.mirrors ?? []).map(mirror => endpoint(mirror, registry, 'mirror')),
    endpoint(server, registry, 'registry'),
  ];
}

/**
 * The URL of something that `endpoint` serves.
 *
 * @param target Relative to the API root; a URL that the endpoint gave is taken as it is.
 */
export function endpointUrl(endpoint: Endpoint, target: string | URL): URL {
  const url = new URL(target, endpoint.root);
  // containerd's way of telling a mirror for several registries which one is meant.
  if (endpoint.mirror && typeof target === 'string' && endpoint.root.host !== endpoint.registry) {
    url.searchParams.set('ns', endpoint.registry);
  }
  return url;
}
