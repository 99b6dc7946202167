/**
 * nginx over a folder: an implementation of Range, If-Range, ETag and 416 that
 * is not ours. Its access log tells what was asked for and how much was sent.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { fixturePath, type Teardown } from '../../registry/fixture.js';
import { ServerProcess } from './process.js';
import { workspace } from './workspace.js';

export interface LoggedRequest {
  readonly method: string;
  readonly uri: string;
  readonly status: number;
  /** Body bytes sent. */
  readonly bytes: number;
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
}

export interface NginxOptions {
  /** Directives inside `server { … }`. */
  readonly server?: string;
  /** Serve HTTPS with the certificate of test/fixtures/tls. */
  readonly tls?: boolean;
}

export class Nginx {
  /** Where the served files are. */
  readonly root: string;
  readonly #process: ServerProcess;
  readonly #log: string;
  readonly #scheme: string;

  private constructor(folder: string, server: ServerProcess, scheme: string) {
    this.root = join(folder, 'www');
    this.#log = join(folder, 'access.log');
    this.#process = server;
    this.#scheme = scheme;
  }

  static async start(t: Teardown, options: NginxOptions = {}): Promise<Nginx> {
    const folder = await workspace(t);
    await mkdir(join(folder, 'www'));
    const server = await ServerProcess.start(t, async port => {
      const file = join(folder, 'nginx.conf');
      await writeFile(file, configuration(folder, port, options));
      const args = ['-p', folder, '-e', join(folder, 'error.log'), '-c', file];
      return { name: 'nginx', args, ready: () => ready(port) };
    });
    return new Nginx(folder, server, options.tls ? 'https' : 'http');
  }

  get origin(): string {
    return `${this.#scheme}://127.0.0.1:${this.#process.port}`;
  }

  url(path: string): string {
    return `${this.origin}/${path}`;
  }

  /** Killed in the middle of whatever it is doing, and started again. */
  async crash(): Promise<void> {
    await this.#process.crash();
  }

  /** The requests for `uri` so far. A request is logged after its reply was sent, hence the count to wait for. */
  async requests(uri: string, atLeast = 0): Promise<readonly LoggedRequest[]> {
    for (let tries = 0; ; tries++) {
      const lines = (await readFile(this.#log, 'utf8')).split('\n').slice(0, -1);
      const found = lines.map(line => parse(line)).filter(request => request.uri === uri);
      if (found.length >= atLeast || tries === 100) return found;
      await sleep(20);
    }
  }
}

function parse(line: string): LoggedRequest {
  const logged = JSON.parse(line) as Record<string, string>;
  return {
    method: logged['method'] ?? '',
    uri: logged['uri'] ?? '',
    status: Number(logged['status']),
    bytes: Number(logged['bytes']),
    range: logged['range'] || undefined,
    ifRange: logged['if_range'] || undefined,
  };
}

async function ready(port: number): Promise<boolean> {
  // Over TLS this is a Bad Request, and an answer all the same.
  const answer = await fetch(`http://127.0.0.1:${port}/.ready`);
  await answer.arrayBuffer();
  return true;
}

function configuration(folder: string, port: number, options: NginxOptions): string {
  const tls = `ssl_certificate ${fixturePath('tls', 'server.pem')};
    ssl_certificate_key ${fixturePath('tls', 'server.key')};`;
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    name => `${name}_temp_path ${join(folder, name)};`,
  );
  return `
daemon off;
master_process off;
pid ${join(folder, 'pid')};
events { worker_connections 256; }
http {
  ${temporary.join('\n  ')}
  log_format requests escape=json '{"method":"$request_method","uri":"$request_uri","status":"$status",'
    '"bytes":"$body_bytes_sent","range":"$http_range","if_range":"$http_if_range"}';
  access_log ${join(folder, 'access.log')} requests;
  default_type application/octet-stream;
  sendfile on;
  server {
    listen 127.0.0.1:${port}${options.tls ? ' ssl' : ''};
    root ${join(folder, 'www')};
    ${options.tls ? tls : ''}
    ${options.server ?? ''}
  }
}
`;
}
