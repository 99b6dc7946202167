/**
 * containerd's registry configuration: a directory per registry with a
 * `hosts.toml`, or with the bare certificates of docker's `certs.d`. Read here
 * so that a node's mirrors and certificates hold for us without a second copy.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { SociError } from '../errors.js';
import type { HostCapability, HostOptions, MirrorOptions, TlsOptions } from './endpoint.js';

type Table = Readonly<Record<string, unknown>>;

const CAPABILITIES: ReadonlySet<unknown> = new Set(['pull', 'resolve', 'push']);

function bad(path: string, detail: string, cause?: unknown): SociError {
  return new SociError('ERR_SOCI_HOSTS_CONFIG', `${path}: ${detail}`, { data: { path }, cause });
}

function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Folder names for `registry`, as containerd looks for them; colons are no good in file names everywhere. */
function candidates(registry: string): string[] {
  const port = /^(.*):(\d+)$/.exec(registry);
  return [...(port === null ? [] : [`${port[1]}_${port[2]}_`]), registry, '_default'];
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      return undefined;
    }
    throw bad(path, `cannot be read (${code})`, cause);
  }
}

class HostsFile {
  readonly #path: string;
  readonly #directory: string;

  constructor(path: string, directory: string) {
    this.#path = path;
    this.#directory = directory;
  }

  async host(url: string, table: Table): Promise<MirrorOptions> {
    const text = /^[a-z]+:\/\//.test(url) ? url : `https://${url}`;
    if (!URL.canParse(text)) {
      throw bad(this.#path, `${JSON.stringify(url)} is not a URL`);
    }
    const capabilities = table['capabilities'];
    if (
      capabilities !== undefined &&
      !(Array.isArray(capabilities) && capabilities.every(c => CAPABILITIES.has(c)))
    ) {
      throw bad(this.#path, 'capabilities: expected some of pull, resolve, push');
    }
    return {
      url: text,
      ...(await this.#tls(table)),
      // containerd gives every host without the key all capabilities.
      capabilities: (capabilities as HostCapability[] | undefined) ?? ['pull', 'resolve', 'push'],
      overridePath: this.#flag(table, 'override_path'),
      headers: this.#headers(table['header']),
    };
  }

  async #tls(table: Table): Promise<TlsOptions> {
    const ca = await Promise.all(this.#strings(table['ca'], 'ca').map(path => this.#pem(path)));
    const client = table['client'];
    // Of several key pairs the first is used: nothing tells which one a server wants.
    const first = Array.isArray(client) ? client[0] : client;
    const [cert, key] = this.#strings(first, 'client');
    const pem = cert === undefined ? undefined : await this.#pem(cert);
    const keyPem = key === undefined ? pem : await this.#pem(key);
    return {
      ...(ca.length === 0 ? {} : { ca }),
      ...(pem === undefined ? {} : { clientCertificate: { cert: pem, key: keyPem! } }),
      ...(this.#flag(table, 'skip_verify') ? { skipVerify: true } : {}),
    };
  }

  #flag(table: Table, key: string): boolean {
    const value = table[key] ?? false;
    if (typeof value !== 'boolean') {
      throw bad(this.#path, `${key}: expected true or false`);
    }
    return value;
  }

  #strings(value: unknown, key: string): string[] {
    const list = value === undefined ? [] : Array.isArray(value) ? value : [value];
    if (!list.every(item => typeof item === 'string')) {
      throw bad(this.#path, `${key}: expected a path or a list of paths`);
    }
    return list as string[];
  }

  async #pem(path: string): Promise<string> {
    const absolute = resolve(this.#directory, path);
    const text = await readIfThere(absolute);
    if (text === undefined) {
      throw bad(this.#path, `${absolute} does not exist`);
    }
    return text;
  }

  #headers(value: unknown): Record<string, string> {
    const headers: Record<string, string> = {};
    for (const [name, text] of Object.entries(isTable(value) ? value : {})) {
      headers[name.toLowerCase()] = this.#strings(text, `header.${name}`).join(', ');
    }
    return headers;
  }
}

/**
 * @param text Content of a hosts.toml.
 * @param directory What relative certificate paths are relative to.
 * @throws SociError ERR_SOCI_HOSTS_CONFIG
 */
export async function parseHostsToml(text: string, directory: string): Promise<HostOptions> {
  const path = join(directory, 'hosts.toml');
  // Loaded here: few commands find such a file, and all of them look for one.
  const { parse } = await import('smol-toml');
  let document: Table;
  try {
    document = parse(text);
  } catch (cause) {
    throw bad(path, 'not TOML', cause);
  }
  const file = new HostsFile(path, directory);
  const tables = document['host'];
  // Object.entries keeps the order of the file, which is the order in which hosts are tried.
  const mirrors = Object.entries(isTable(tables) ? tables : {}).map(([url, table]) =>
    file.host(url, isTable(table) ? table : {}),
  );
  const server = document['server'];
  if (server !== undefined && typeof server !== 'string') {
    throw bad(path, 'server: expected a URL');
  }
  const options = await Promise.all(mirrors);
  if (server !== undefined) {
    return { mirrors: options, server: await file.host(server, document) };
  }
  const {
    url: _,
    overridePath: __,
    capabilities: ___,
    ...own
  } = await file.host('https://unnamed', document);
  return { ...own, mirrors: options };
}

/** docker's layout: `*.crt` are authorities, `NAME.cert` with `NAME.key` a client certificate. */
async function readCertificates(directory: string): Promise<HostOptions | undefined> {
  let names: string[];
  try {
    names = (await readdir(directory)).sort();
  } catch {
    return undefined;
  }
  const read = async (name: string): Promise<string> => (await readIfThere(join(directory, name))) ?? '';
  const ca = await Promise.all(names.filter(name => name.endsWith('.crt')).map(read));
  const cert = names.find(name => name.endsWith('.cert') && names.includes(name.replace(/cert$/, 'key')));
  return {
    ...(ca.length === 0 ? {} : { ca }),
    ...(cert === undefined
      ? {}
      : { clientCertificate: { cert: await read(cert), key: await read(cert.replace(/cert$/, 'key')) } }),
  };
}

/** The configuration of `registry` in the first of `directories` that has a folder for it or a `_default`. */
export async function readHostsDirectory(
  directories: readonly string[],
  registry: string,
): Promise<HostOptions | undefined> {
  for (const parent of directories) {
    for (const name of candidates(registry)) {
      const directory = join(parent, name);
      const text = await readIfThere(join(directory, 'hosts.toml'));
      const options =
        text === undefined ? await readCertificates(directory) : await parseHostsToml(text, directory);
      if (options !== undefined) {
        return options;
      }
    }
  }
  return undefined;
}
