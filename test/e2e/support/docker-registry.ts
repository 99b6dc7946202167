/**
 * Debian's docker-registry (distribution 2.8, which has no referrers API): plain,
 * with TLS, with a password. Its access log tells what it was asked for.
 */
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { type RegistryOptions, RegistryTransport } from '../../../lib/registry/transport.js';
import { fixturePath, QUICK, type Teardown } from '../../registry/fixture.js';
import { run, ServerProcess } from './process.js';
import { workspace } from './workspace.js';

export const USER = 'alice';
export const PASSWORD = 'open sesame';
/** bcrypt of PASSWORD at cost 4: at htpasswd's default every request would take a third of a second. */
const HASH = '$2b$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy';

export interface DockerRegistryOptions {
  readonly tls?: boolean;
  readonly password?: boolean;
}

export interface ServedRequest {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  /** Body bytes sent. */
  readonly bytes: number;
}

export class DockerRegistry {
  readonly #process: ServerProcess;
  readonly #options: DockerRegistryOptions;
  readonly #folder: string;

  private constructor(folder: string, server: ServerProcess, options: DockerRegistryOptions) {
    this.#folder = folder;
    this.#process = server;
    this.#options = options;
  }

  static async start(t: Teardown, options: DockerRegistryOptions = {}): Promise<DockerRegistry> {
    const folder = await workspace(t);
    await mkdir(join(folder, 'data'));
    await mkdir(join(folder, 'authorities'));
    await writeFile(join(folder, 'passwords'), `${USER}:${HASH}\n`);
    await writeFile(join(folder, 'policy.json'), '{"default": [{"type": "insecureAcceptAnything"}]}');
    await run('cp', [fixturePath('tls', 'ca.pem'), join(folder, 'authorities', 'ca.crt')]);
    const server = await ServerProcess.start(t, async port => {
      const file = join(folder, 'config.yml');
      await writeFile(file, configuration(folder, port, options));
      return { name: 'docker-registry', args: ['serve', file], ready: () => ready(port) };
    });
    return new DockerRegistry(folder, server, options);
  }

  get host(): string {
    return `127.0.0.1:${this.#process.port}`;
  }

  /**
   * What it has answered since it was started, by method if one is given. An answer is logged after it was sent,
   * hence the count to wait for.
   */
  async requests(atLeast = 0, method?: string): Promise<readonly ServedRequest[]> {
    for (let tries = 0; ; tries++) {
      const lines = this.#process.output.matchAll(/^\S+ - \S+ \[.*?\] "(\S+) (\S+) \S+" (\d+) (\d+)/gm);
      const found = [...lines]
        .map(([, method = '', path = '', status, bytes]) => ({
          method,
          path,
          status: Number(status),
          bytes: Number(bytes),
        }))
        .filter(request => method === undefined || request.method === method);
      if (found.length >= atLeast || tries === 100) return found;
      await sleep(20);
    }
  }

  /** A client of ours that trusts its certificate and knows its password. */
  client(t: Teardown, options: RegistryOptions = {}): RegistryTransport {
    const transport = new RegistryTransport({
      credentials: this.#options.password ? () => ({ username: USER, password: PASSWORD }) : null,
      hosts: { [this.host]: this.#options.tls ? { ca: [fixture('ca.pem')] } : {} },
      env: {},
      retry: QUICK,
      ...options,
    });
    t.teardown(() => transport.close());
    return transport;
  }

  /** skopeo, with the options that this registry needs, as source or as target or as both. */
  async skopeo(
    command: 'copy' | 'inspect' | 'list-tags',
    options: readonly string[],
    ...images: readonly string[]
  ): Promise<Buffer> {
    const sides = command === 'copy' ? ['--src-', '--dest-'] : ['--'];
    const login = this.#options.password ? ['creds', `${USER}:${PASSWORD}`] : [];
    const access = sides.flatMap(side => [
      ...(this.#options.tls
        ? [`${side}cert-dir`, join(this.#folder, 'authorities')]
        : [`${side}tls-verify=false`]),
      ...(login.length === 0 ? [] : [side + login[0]!, login[1]!]),
    ]);
    const policy = ['--policy', join(this.#folder, 'policy.json')];
    return await run('skopeo', [...policy, command, ...access, ...options, ...images]);
  }

  /** Logs in as people do, into a file of docker's form. */
  async logIn(authFile: string): Promise<void> {
    const access = this.#options.tls
      ? ['--cert-dir', join(this.#folder, 'authorities')]
      : ['--tls-verify=false'];
    const input = Buffer.from(PASSWORD);
    const args = ['login', '--authfile', authFile, '-u', USER, '--password-stdin', ...access, this.host];
    await run('skopeo', args, { input });
  }
}

function fixture(name: string): string {
  return readFileSync(fixturePath('tls', name), 'utf8');
}

async function ready(port: number): Promise<boolean> {
  // Over TLS this is a Bad Request, and an answer all the same.
  const answer = await fetch(`http://127.0.0.1:${port}/v2/`);
  await answer.arrayBuffer();
  return true;
}

function configuration(folder: string, port: number, { tls, password }: DockerRegistryOptions): string {
  const http = {
    addr: `127.0.0.1:${port}`,
    secret: 'of no importance',
    ...(tls
      ? { tls: { certificate: fixturePath('tls', 'server.pem'), key: fixturePath('tls', 'server.key') } }
      : {}),
  };
  const auth = { htpasswd: { realm: 'e2e', path: join(folder, 'passwords') } };
  // YAML is a superset of JSON.
  return JSON.stringify({
    version: '0.1',
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: join(folder, 'data') } },
    http,
    ...(password ? { auth } : {}),
  });
}
