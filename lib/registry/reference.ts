/**
 * Image references: the grammar of distribution/reference with docker.io's
 * defaults, so that a name typed here means what it means to docker, containerd
 * and skopeo.
 */
import { SociError } from '../errors.js';
import { isDigest } from './digest.js';

export interface ImageReference {
  /** Domain with its port as written, `docker.io` when none was: the name of the registry, not the host to dial. */
  readonly registry: string;
  /** Path without the registry, e.g. `library/debian`. */
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: string;
}

const DEFAULT_REGISTRY = 'docker.io';
const DEFAULT_TAG = 'latest';
const MAX_NAME_LENGTH = 255;

const HOST_NAME = '(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])';
const IPV6 = '\\[[A-Fa-f0-9:]+\\]';
const DOMAIN = new RegExp(`^(?:${HOST_NAME}(?:\\.${HOST_NAME})*|${IPV6})(?::[0-9]{1,5})?$`);
const PATH_COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const REPOSITORY = new RegExp(`^${PATH_COMPONENT}(?:/${PATH_COMPONENT})*$`);
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const HEX_ID = /^[a-f0-9]{64}$/;

function invalid(text: string, reason: string): SociError {
  const shown = text.length > 300 ? `${text.slice(0, 300)}…` : text;
  return new SociError('ERR_SOCI_REFERENCE', `Image reference ${JSON.stringify(shown)}: ${reason}`, {
    data: { reference: shown },
  });
}

export function isTag(text: string): boolean {
  return TAG.test(text);
}

export function isRepository(text: string): boolean {
  return text.length <= MAX_NAME_LENGTH && REPOSITORY.test(text);
}

/**
 * A first component is a registry only if it cannot be a path component of Docker Hub: it has a dot or a
 * port, is `localhost`, or has an upper-case letter (distribution/reference, splitDockerDomain).
 */
function splitRegistry(name: string): { registry: string; repository: string } {
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  const named = /[.:[]/.test(first) || first === 'localhost' || first.toLowerCase() !== first;
  const registry = named ? first : DEFAULT_REGISTRY;
  const repository = named ? name.slice(slash + 1) : name;
  if (registry !== DEFAULT_REGISTRY && registry !== 'index.docker.io') {
    return { registry, repository };
  }
  return {
    registry: DEFAULT_REGISTRY,
    repository: repository.includes('/') ? repository : `library/${repository}`,
  };
}

/**
 * Reads `[registry[:port]/]path[:tag][@digest]`. Nothing is added but the registry and `library/`;
 * `referenceTarget` supplies the default tag.
 *
 * @throws SociError ERR_SOCI_REFERENCE
 */
export function parseReference(text: string): ImageReference {
  let name = text;
  let digest: string | undefined;
  const at = name.indexOf('@');
  if (at >= 0) {
    digest = name.slice(at + 1);
    name = name.slice(0, at);
    if (!isDigest(digest)) {
      throw invalid(
        text,
        `expected a digest such as sha256:<64 hex digits> after '@', found ${JSON.stringify(digest.slice(0, 100))}`,
      );
    }
  }
  let tag: string | undefined;
  const colon = name.lastIndexOf(':');
  if (colon > name.lastIndexOf('/')) {
    tag = name.slice(colon + 1);
    name = name.slice(0, colon);
    if (!isTag(tag)) {
      throw invalid(
        text,
        `expected a tag of at most 128 of [A-Za-z0-9_.-] after ':', found ${JSON.stringify(tag.slice(0, 100))}`,
      );
    }
  }
  if (HEX_ID.test(name)) {
    throw invalid(text, 'a name of 64 hexadecimal digits would be an image id');
  }
  const { registry, repository } = splitRegistry(name);
  if (!DOMAIN.test(registry)) {
    throw invalid(text, `${JSON.stringify(registry)} is not a registry host`);
  }
  if (!REPOSITORY.test(repository)) {
    const reason = /[A-Z]/.test(repository) ? 'must be lower case' : 'is not a repository path';
    throw invalid(text, `${JSON.stringify(repository.slice(0, 300))} ${reason}`);
  }
  if (registry.length + 1 + repository.length > MAX_NAME_LENGTH) {
    throw invalid(text, `registry and path are longer than ${MAX_NAME_LENGTH} characters`);
  }
  return {
    registry,
    repository,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** What to ask the registry for: the digest if there is one, else the tag, else `latest`. */
export function referenceTarget(reference: ImageReference): string {
  return reference.digest ?? reference.tag ?? DEFAULT_TAG;
}

/** The complete canonical form, e.g. `docker.io/library/debian:12@sha256:…`; what was not given is not added. */
export function formatReference(reference: ImageReference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`;
  const digest = reference.digest === undefined ? '' : `@${reference.digest}`;
  return `${reference.registry}/${reference.repository}${tag}${digest}`;
}

/** The short form that people type: without `docker.io/` and `library/`. */
export function familiarReference(reference: ImageReference): string {
  const full = formatReference(reference);
  if (reference.registry !== DEFAULT_REGISTRY) {
    return full;
  }
  const path = full.slice(DEFAULT_REGISTRY.length + 1);
  // `library/a/b` must keep its prefix, or it would come back as `a/b`.
  return /^library\/[^/]+$/.test(reference.repository) ? path.slice('library/'.length) : path;
}

/** The host (with port) that serves a registry: Docker Hub's name and its API host differ. */
export function registryHost(registry: string): string {
  return registry === DEFAULT_REGISTRY ? 'registry-1.docker.io' : registry;
}
