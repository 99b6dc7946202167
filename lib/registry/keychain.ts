/**
 * The default credential provider: the files that docker and podman log in to,
 * in the order of go-containerregistry. The first file that knows the registry
 * wins. Answers are remembered briefly, because a helper may take seconds.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';

import { checkOptions, type OptionNames } from '../arguments.js';
import { lookUpCredentials, readAuthFile } from './auth-file.js';
import type { CredentialProvider, Credentials } from './credentials.js';

export interface KeychainOptions {
  /** Default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Default: the user's home directory. */
  readonly home?: string | undefined;
}

const KEYCHAIN_OPTIONS: OptionNames<KeychainOptions> = { env: true, home: true };

const REMEMBER_MS = 60_000;
const MAX_REMEMBERED = 1000;

/** Where credentials may be, best first: DOCKER_CONFIG or ~/.docker, REGISTRY_AUTH_FILE, podman's run-time file. */
export function authFilePaths(options: KeychainOptions = {}): string[] {
  const env = options.env ?? process.env;
  const home = options.home ?? homedir();
  const docker = env['DOCKER_CONFIG'] || join(home, '.docker');
  const runtime = env['XDG_RUNTIME_DIR'];
  return [
    join(docker, 'config.json'),
    ...(env['REGISTRY_AUTH_FILE'] ? [env['REGISTRY_AUTH_FILE']] : []),
    ...(runtime ? [join(runtime, 'containers', 'auth.json')] : []),
    join(env['XDG_CONFIG_HOME'] || join(home, '.config'), 'containers', 'auth.json'),
  ];
}

/** A provider that reads docker's and podman's files whenever it is asked. */
export function keychain(options: KeychainOptions = {}): CredentialProvider {
  checkOptions('keychain', options, KEYCHAIN_OPTIONS);
  const remembered = new Map<
    string,
    { readonly credentials: Credentials | undefined; readonly until: number }
  >();
  return async ({ registry, repository, refused, signal }) => {
    const key = `${registry}/${repository}`;
    const known = remembered.get(key);
    if (known !== undefined && !refused && known.until > Date.now()) {
      return known.credentials;
    }
    let credentials: Credentials | undefined;
    let failure: unknown;
    for (const path of authFilePaths(options)) {
      try {
        const file = await readAuthFile(path, signal);
        credentials = file && (await lookUpCredentials(file, registry, repository, signal));
      } catch (error) {
        signal?.throwIfAborted();
        // A broken helper must not hide what the next file has.
        failure ??= error;
      }
      if (credentials !== undefined) {
        break;
      }
    }
    if (credentials === undefined && failure !== undefined) {
      throw failure;
    }
    if (remembered.size >= MAX_REMEMBERED) {
      remembered.clear();
    }
    remembered.set(key, { credentials, until: Date.now() + REMEMBER_MS });
    return credentials;
  };
}
