/**
 * Where an image is, as people write it: `registry/repo:tag`, `…@sha256:…`,
 * `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]` (with `@sha256:…` in the place of a tag), and what containers-transports(5)
 * says of `docker-archive:FILE[:NAME[:TAG]]` and `docker-archive:FILE:@N`. `docker://REF` is REF, as skopeo and buildah
 * write it; of other schemes the message says what to write instead.
 */
import { resolve } from 'node:path';
import { checkOptions } from '../arguments.js';
import { SociError } from '../errors.js';
import { ArchiveFiles } from './archive-files.js';
import { isDigest } from './digest.js';
import { DockerArchiveFiles, fullName } from './docker-archive-files.js';
import { DirectoryFiles, type LayoutFiles } from './layout-files.js';
import { LayoutRepository } from './layout-repository.js';
import { type ImageReference, parseReference, referenceTarget } from './reference.js';
import {
  REPOSITORY_NAMES,
  RegistryRepository,
  type RegistryRepositoryOptions,
} from './registry-repository.js';
import type { Repository } from './repository.js';
import type { RegistryTransport } from './transport.js';

export type ImageLocation =
  | { readonly kind: 'registry'; readonly reference: ImageReference }
  | {
      readonly kind: 'layout' | 'archive';
      /** As written. */
      readonly path: string;
      /** Tag, full name or digest; undefined for the only image. */
      readonly reference?: string;
    }
  | {
      readonly kind: 'docker-archive';
      /** As written. */
      readonly path: string;
      /** Full name, `docker.io/library/alpine:3.18`; undefined for the only image. */
      readonly reference?: string;
      /** Place of the image in the archive, from 0 on. */
      readonly position?: number;
    };

const DOCKER = 'docker://';
/** What containers/image and others call places that we do not read. */
const OTHER_SCHEMES =
  /^(docker-daemon|containers-storage|dir|tarball|ostree|sif):|^([a-z][a-z0-9+.-]*):\/\//i;

/** @throws SociError ERR_SOCI_REFERENCE for what would otherwise be taken for the name of a repository */
function refuseOtherSchemes(text: string): void {
  const [, known, other] = OTHER_SCHEMES.exec(text) ?? [];
  // `dir:tag` is an image of Docker Hub.
  const isTagged = known !== undefined && /^[^:]*:[\w][\w.-]{0,127}$/.test(text) && !/\.tar$/.test(text);
  const scheme = known ?? other;
  if (scheme === undefined || isTagged) return;
  const copy = `skopeo copy ${text} oci-archive:FILE.tar:TAG`;
  const advice = /^https?$/i.test(scheme)
    ? 'leave the scheme out (--plain-http speaks HTTP without TLS)'
    : `copy the image first, \`${copy}\`, and name oci-archive:FILE.tar`;
  throw new SociError(
    'ERR_SOCI_REFERENCE',
    `${JSON.stringify(text.slice(0, 200))}: expected REGISTRY/REPOSITORY[:TAG], docker://…, oci:DIR, oci-archive:FILE or docker-archive:FILE, found the scheme '${scheme}'; ${advice}`,
    { data: { reference: text.slice(0, 200), scheme } },
  );
}

const DOCKER_ARCHIVE = 'docker-archive:';

/** The first colon ends the path; what is behind it is the name that docker knows the image by, or its place. */
function parseDockerArchive(text: string): ImageLocation {
  const [, path = '', reference] = /^((?:[A-Za-z]:[\\/])?[^:]*)(?::(.*))?$/s.exec(text) ?? [];
  const position = /^@(\d{1,6})$/.exec(reference ?? '')?.[1];
  if (path === '' || reference === '' || (position === undefined && reference?.includes('@'))) {
    throw new SociError(
      'ERR_SOCI_REFERENCE',
      `${JSON.stringify(`${DOCKER_ARCHIVE}${text}`.slice(0, 300))}: expected docker-archive:FILE[:NAME[:TAG]] or docker-archive:FILE:@N (the image at place N, from 0 on)`,
      { data: { reference: text.slice(0, 300) } },
    );
  }
  const kind = 'docker-archive';
  if (reference === undefined) return { kind, path };
  return position === undefined
    ? { kind, path, reference: fullName(reference) }
    : { kind, path, position: Number(position) };
}

/** @throws SociError ERR_SOCI_REFERENCE */
export function parseImageLocation(text: string): ImageLocation {
  if (text.startsWith(DOCKER_ARCHIVE)) return parseDockerArchive(text.slice(DOCKER_ARCHIVE.length));
  const scheme = /^(oci|oci-archive):(?!\/\/)(.*)$/s.exec(text);
  if (scheme === null) {
    const reference = text.startsWith(DOCKER) ? text.slice(DOCKER.length) : text;
    refuseOtherSchemes(reference);
    return { kind: 'registry', reference: parseReference(reference) };
  }
  const kind = scheme[1] === 'oci' ? 'layout' : 'archive';
  // Like skopeo: the first colon ends the path, so that tags may be whole references; C:\ is a drive.
  const parts = /^((?:[A-Za-z]:[\\/])?[^:@]*)(?:(:|@)(.*))?$/s.exec(scheme[2]!);
  const [, path = '', separator, reference] = parts ?? [];
  if (path === '' || reference === '') {
    throw new SociError(
      'ERR_SOCI_REFERENCE',
      `${JSON.stringify(text)}: expected ${scheme[1]}:PATH[:TAG] or ${scheme[1]}:PATH@DIGEST`,
      {
        data: { reference: text },
      },
    );
  }
  if (separator === '@' && !isDigest(reference!)) {
    // An @ in a file name is more likely than a digest that is none.
    return { kind, path: `${path}@${reference}` };
  }
  return { kind, path, ...(reference === undefined ? {} : { reference }) };
}

export interface OpenedLocation {
  readonly repository: Repository;
  /** What to give to `resolve` and `getManifest`. */
  readonly reference: string | undefined;
}

/** Makes no request and touches no file. The repository must be closed; the transport stays open. */
export function openImageLocation(
  location: string | ImageLocation,
  transport: RegistryTransport,
  options: RegistryRepositoryOptions = {},
): OpenedLocation {
  checkOptions('openImageLocation', options, REPOSITORY_NAMES);
  const parsed = typeof location === 'string' ? parseImageLocation(location) : location;
  if (parsed.kind === 'registry') {
    const repository = new RegistryRepository(transport, parsed.reference, options);
    return { repository, reference: referenceTarget(parsed.reference) };
  }
  const repository = new LayoutRepository(filesOf(parsed), () => transport.foreign(undefined));
  return { repository, reference: parsed.reference };
}

function filesOf(location: Exclude<ImageLocation, { readonly kind: 'registry' }>): LayoutFiles {
  const path = resolve(location.path);
  switch (location.kind) {
    case 'layout':
      return new DirectoryFiles(path, `oci:${location.path}`);
    case 'archive':
      return new ArchiveFiles(path, `oci-archive:${location.path}`);
    case 'docker-archive': {
      const archive = new ArchiveFiles(path, `${DOCKER_ARCHIVE}${location.path}`);
      return new DockerArchiveFiles(archive, location.position);
    }
  }
}
