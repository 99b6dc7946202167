/**
 * How a command reaches the registries that its operands name: with whose
 * credentials, by which mirrors and certificates, and with how much patience.
 */
import { readFile, stat } from 'node:fs/promises';
import type { CredentialProvider, HostOptions, RegistryOptions } from '../index.js';
import { isDigest } from '../registry/digest.js';
import { parseImageLocation } from '../registry/image-location.js';
import { keychain } from '../registry/keychain.js';
import { type Invocation, optionList, optionNumber, optionText, UsageError } from './command.js';
import { homeDirectory } from './home-directory.js';
import { readPassword } from './password-input.js';

/** The registry that an operand names, none for layouts. @throws UsageError, SociError ERR_SOCI_REFERENCE */
export function registryOf(image: string): string[] {
  const at = image.indexOf('@');
  if (at >= 0 && !/^(oci|oci-archive|docker-archive):/.test(image) && !isDigest(image.slice(at + 1))) {
    // What people write there is a password as often as not, so it is not repeated.
    throw new UsageError(
      "IMAGE: expected a digest behind '@'; users and passwords go to --user and --password-stdin",
    );
  }
  if (/^sha256:[0-9a-f]{64}$/.test(image)) {
    throw new UsageError('IMAGE: expected a repository before the digest: registry/repo@sha256:…');
  }
  const location = parseImageLocation(image);
  return location.kind === 'registry' ? [location.reference.registry] : [];
}

/** How the registries that a command line is about are reached. @throws UsageError */
export async function registryOptions(
  invocation: Invocation,
  registries: readonly string[],
): Promise<RegistryOptions> {
  const hostsDirectories = optionList(invocation, 'hosts-dir');
  const ca = optionText(invocation, 'ca');
  const plainHttp = invocation.options['plain-http'] === true;
  const tls = invocation.options['tls'] === true;
  if (plainHttp && tls) throw new UsageError('expected either --plain-http or --tls');
  for (const directory of hostsDirectories) await requireDirectory(directory);
  const host: HostOptions = {
    ...(plainHttp || tls ? { plainHttp } : {}),
    ...(ca === undefined ? {} : { ca: await readCertificates(ca) }),
  };
  if (Object.keys(host).length > 0 && hostsDirectories.length > 0) {
    throw new UsageError('expected either --hosts-dir or --plain-http, --tls and --ca');
  }
  return {
    ...patience(invocation),
    hedge: hedge(invocation),
    env: invocation.env,
    hostsDirectories,
    hosts: Object.keys(host).length === 0 ? {} : Object.fromEntries(registries.map(name => [name, host])),
    credentials: await credentials(invocation, registries.at(-1)),
  };
}

/** One that containerd may have or not is passed over in silence; one that was named here is meant. */
async function requireDirectory(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isDirectory()) throw new UsageError(`--hosts-dir: ${path}: no such directory`);
}

/** @throws UsageError */
async function readCertificates(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new UsageError(`--ca: cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

/** How long a registry may be silent, and how often it is asked. What is said here is all that limits it. */
function patience(invocation: Invocation): Pick<RegistryOptions, 'timeouts' | 'retry'> {
  const seconds = optionNumber(invocation, 'timeout', /^\d{1,6}(\.\d{1,3})?$/);
  const retries = optionNumber(invocation, 'retries', /^\d{1,4}$/);
  if (seconds === 0) throw new UsageError('--timeout: expected more than 0 seconds');
  const ms = seconds === undefined ? undefined : Math.round(seconds * 1000);
  const maxSilence = Number.MAX_SAFE_INTEGER;
  return {
    ...(ms === undefined ? {} : { timeouts: { connect: ms, headers: ms, bodyIdle: ms } }),
    ...(retries === undefined ? {} : { retry: { retries, maxSilence } }),
  };
}

/** @throws UsageError */
function hedge(invocation: Invocation): RegistryOptions['hedge'] {
  const percentile = optionNumber(invocation, 'hedge', /^\d{2}(\.\d{1,3})?$/);
  if (percentile === undefined) return undefined;
  if (percentile >= 50 && percentile <= 99.9) return { percentile };
  throw new UsageError(`--hedge: expected a percentile of 50 to 99.9, received '${percentile}'`);
}

/** The user's name and password go to one registry only; for all others docker's and podman's files hold. */
async function credentials(invocation: Invocation, account: string | undefined): Promise<CredentialProvider> {
  const username = optionText(invocation, 'user');
  const fromStandardInput = invocation.options['password-stdin'] === true;
  const { env } = invocation;
  const files = keychain({ env, home: homeDirectory(env) });
  if (username === undefined && !fromStandardInput) return files;
  if (username === undefined || !fromStandardInput) {
    throw new UsageError('--user and --password-stdin need each other');
  }
  if (username.includes(':')) {
    throw new UsageError('--user: expected a name alone; the password goes to --password-stdin');
  }
  const password = await readPassword(invocation);
  return request =>
    request.registry === account ? { username, password, source: '--user' } : files(request);
}
