/** The command: `seekable-oci-http-server IMAGE`, until it is interrupted. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { openImage } from 'seekable-oci';
import { imageListener } from './listener.js';

const USAGE = `Usage: seekable-oci-http-server IMAGE [--port N] [--host ADDRESS] [--platform OS/ARCH]

Serves the files of IMAGE (registry/repo:tag, oci:DIR, oci-archive:FILE) over HTTP.
`;

export async function main(args: readonly string[]): Promise<void> {
  const given = readArguments(args);
  if (given === undefined) {
    process.stderr.write(USAGE);
    process.exitCode = 2;
    return;
  }
  const interrupted = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupted.abort());
  const { signal } = interrupted;
  try {
    await using image = await openImage(given.image, { platform: given.platform, signal });
    const server = createServer(imageListener(image));
    server.listen(given.port, given.host);
    await once(server, 'listening', { signal });
    const { address, family, port } = server.address() as AddressInfo;
    const host = family === 'IPv6' ? `[${address}]` : address;
    process.stdout.write(`${given.image}: http://${host}:${port}/\n`);
    if (!signal.aborted) await once(signal, 'abort');
    server.close();
    server.closeAllConnections();
  } catch (error) {
    if (signal.aborted) return;
    process.stderr.write(`seekable-oci-http-server: ${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}

interface Arguments {
  readonly image: string;
  readonly platform: string | undefined;
  readonly host: string;
  readonly port: number;
}

function readArguments(args: readonly string[]): Arguments | undefined {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        port: { type: 'string', default: '8080' },
        host: { type: 'string', default: '127.0.0.1' },
        platform: { type: 'string' },
      },
    });
    const [image, ...rest] = positionals;
    if (image === undefined || rest.length > 0 || !/^\d{1,5}$/.test(values.port)) return undefined;
    return { image, platform: values.platform, host: values.host, port: Number(values.port) };
  } catch {
    return undefined;
  }
}
