/**
 * Debian's docker-registry (distribution 2.8, which has no referrers API): plain
 * HTTP, nobody asked for credentials, blobs served by itself.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Link } from './link.js';

export interface RunningRegistry {
  /** Address and port. */
  readonly host: string;
  stop(): Promise<void>;
}

export function hasDockerRegistry(): boolean {
  return spawnSync('docker-registry', ['--version']).status === 0;
}

/** @param storage Folder of its repositories, made if need be. */
export async function startDockerRegistry(storage: string, link: Link): Promise<RunningRegistry> {
  const host = `${link.serverAddress}:${await freePort()}`;
  const configuration = `${storage}.${process.pid}.yml`;
  // YAML is a superset of JSON.
  const document = {
    version: '0.1',
    log: { level: 'info', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: storage } },
    http: { addr: host, secret: 'of no importance' },
  };
  writeFileSync(configuration, JSON.stringify(document));
  const [command, args] = link.at('server', 'docker-registry', ['serve', configuration]);
  const server = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const stop = async (): Promise<void> => {
    if (server.exitCode === null && server.kill()) await once(server, 'close');
    rmSync(configuration, { force: true });
  };
  let log = '';
  let ready = false;
  // Read to the end: a registry that cannot log does not answer either.
  const listening = new Promise<void>((resolve, reject) => {
    server.on('error', reject);
    server.on('close', () => reject(new Error(`docker-registry ended: ${log.trim().split('\n').at(-1)}`)));
    server.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (ready) return;
      log += text;
      ready = log.includes('listening on');
      if (ready) resolve();
    });
  });
  try {
    await listening;
  } catch (error) {
    await stop();
    throw error;
  }
  return { host, stop };
}

/** Free on loopback now; in a namespace of its own every port is. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}
