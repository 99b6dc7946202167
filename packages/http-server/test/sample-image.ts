/** An image of two layers in an in-process registry, with a SOCI index, served by the listener. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import {
  createIndex,
  type Descriptor,
  type Image,
  openImage,
  openImageLocation,
  pushIndex,
  ReadContext,
  RegistryTransport,
} from 'seekable-oci';
import { TestRegistry } from 'seekable-oci/testing';
import type { Test } from 'tap';
import tar from 'tar-stream';
import { imageListener } from '../src/index.js';

type TarEntry = Partial<tar.Header> & { readonly name: string | Buffer; readonly body?: Buffer };

export const TIME = new Date('2020-02-02T02:02:02Z');
/** Incompressible: its spans are as large as what they hold. */
export const BIG: Buffer = Buffer.concat(
  Array.from({ length: 100_000 }, (_, i) => createHash('sha256').update(String(i)).digest()),
);

const LOWER: readonly TarEntry[] = [
  { name: 'etc/', type: 'directory' },
  { name: 'etc/os-release', body: Buffer.from('ID=sample\n') },
  { name: 'etc/link', type: 'symlink', linkname: '/etc/os-release' },
  { name: 'etc/outside', type: 'symlink', linkname: '../../../../etc/os-release' },
  { name: 'etc/nowhere', type: 'symlink', linkname: 'gone' },
  { name: 'lib', type: 'symlink', linkname: 'etc' },
  { name: 'dev/null', type: 'character-device', devmajor: 1, devminor: 3 },
  { name: 'big.bin', body: BIG },
  { name: 'old', body: Buffer.from('lower') },
];
const UPPER: readonly TarEntry[] = [
  { name: 'www/page.html', body: Buffer.from('<p>hello</p>\n') },
  { name: 'www/empty', body: Buffer.alloc(0) },
  { name: 'www/<b>&"\'.txt', body: Buffer.from('odd') },
  { name: 'www/javascript:alert(1)', body: Buffer.from('colon') },
  { name: 'www/100% & more?#', body: Buffer.from('percent') },
  { name: 'old', body: Buffer.from('upper') },
];

async function tarOf(entries: readonly TarEntry[]): Promise<Buffer> {
  const pack = tar.pack();
  const chunks: Buffer[] = [];
  pack.on('data', chunk => chunks.push(chunk as Buffer));
  const ended = once(pack, 'end');
  for (const { body, name, ...header } of entries) {
    if (body === undefined) pack.entry({ mtime: TIME, name: String(name), ...header });
    else pack.entry({ mtime: TIME, name: String(name), ...header }, body);
  }
  pack.finalize();
  await ended;
  return Buffer.concat(chunks);
}

const digestOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

export interface Served {
  readonly image: Image;
  readonly registry: TestRegistry;
  readonly layers: readonly Descriptor[];
  readonly port: number;
}

export async function serve(t: Test): Promise<Served> {
  const registry = await TestRegistry.start();
  const transport = new RegistryTransport({ credentials: null });
  const location = `${registry.host}/demo/app:1`;
  const opened = openImageLocation(location, transport);
  const { repository } = opened;
  const layers: Descriptor[] = [];
  const diffIds: string[] = [];
  for (const entries of [LOWER, UPPER]) {
    const bytes = await tarOf(entries);
    const packed = gzipSync(bytes);
    const mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip';
    const descriptor = { mediaType, digest: digestOf(packed), size: packed.length };
    await repository.pushBlob(descriptor, packed);
    layers.push(descriptor);
    diffIds.push(digestOf(bytes));
  }
  const config = Buffer.from(
    JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: diffIds } }),
  );
  const configType = 'application/vnd.oci.image.config.v1+json';
  const configDescriptor = { mediaType: configType, digest: digestOf(config), size: config.length };
  await repository.pushBlob(configDescriptor, config);
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = { schemaVersion: 2, mediaType, config: configDescriptor, layers };
  await repository.pushManifest(Buffer.from(JSON.stringify(manifest)), mediaType, { tag: '1' });
  await pushIndex(await createIndex(opened, { minLayerSize: 0, spanSize: 1 << 18 }));

  // Of its own: what another image of the same content has read would be in memory already.
  const context = new ReadContext();
  const image = await openImage(location, {
    transport,
    context,
    platform: 'linux/amd64',
    missingZtoc: 'fail',
  });
  const server = createServer(imageListener(image));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.teardown(async () => {
    server.closeAllConnections();
    server.close();
    await image.close();
    await context.close();
    await repository.close();
    await transport.close();
    await registry.close();
  });
  return { image, registry, layers, port: (server.address() as AddressInfo).port };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** One request with the path as it is: no client may tidy it up. */
export async function ask(
  port: number,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  method = 'GET',
): Promise<Answer> {
  const asked = request({ host: '127.0.0.1', port, path, method, headers, agent: false }).end();
  const [incoming] = (await once(asked, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return { status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(chunks) };
}
