/**
 * The gzip writers that people make layers with, as Debian ships them. They
 * differ in what matters to a span: block lengths, flushes, members, headers.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { run } from './process.js';

export interface GzipWriter {
  readonly name: string;
  readonly tool: string;
  readonly args: readonly string[];
  /** Minutes for what others do in a second: give it little. */
  readonly slow?: boolean;
  /** Reads a file only. */
  readonly file?: boolean;
  /** A member for every so many bytes, one after the other. */
  readonly memberBytes?: number;
}

export const GZIP_WRITERS: readonly GzipWriter[] = [
  { name: 'gzip', tool: 'gzip', args: ['-n'] },
  { name: 'gzip -1, with name and time', tool: 'gzip', args: ['-1', '-N'] },
  { name: 'gzip -9 --rsyncable', tool: 'gzip', args: ['-9', '--rsyncable'] },
  { name: 'gzip, in members', tool: 'gzip', args: ['-n'], memberBytes: 700_001 },
  { name: 'pigz', tool: 'pigz', args: ['-p', '2'] },
  { name: 'pigz -i', tool: 'pigz', args: ['-i', '-p', '2'] },
  { name: 'pigz -11 (zopfli)', tool: 'pigz', args: ['-11', '-p', '2', '-I', '1'], slow: true },
  { name: 'zopfli', tool: 'zopfli', args: ['--i1', '-c'], file: true, slow: true },
  { name: 'igzip', tool: 'igzip', args: ['-c'] },
  { name: 'igzip -0', tool: 'igzip', args: ['-0', '-c'] },
  { name: 'igzip -3', tool: 'igzip', args: ['-3', '-c'] },
  { name: 'busybox gzip', tool: 'busybox', args: ['gzip', '-c'] },
  { name: 'libdeflate-gzip', tool: 'libdeflate-gzip', args: ['-c'] },
  { name: 'libdeflate-gzip -12', tool: 'libdeflate-gzip', args: ['-12', '-c'] },
];

export async function gzipWith(writer: GzipWriter, input: Uint8Array): Promise<Buffer> {
  const { tool, args, memberBytes = input.length } = writer;
  if (writer.file) return await gzipFile(writer, input);
  const members: Buffer[] = [];
  for (let at = 0; at < input.length; at += memberBytes) {
    members.push(await run(tool, args, { input: input.subarray(at, at + memberBytes) }));
  }
  return Buffer.concat(members);
}

async function gzipFile({ tool, args }: GzipWriter, input: Uint8Array): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'seekable-oci-e2e-'));
  try {
    await writeFile(join(folder, 'layer.tar'), input);
    return await run(tool, [...args, join(folder, 'layer.tar')]);
  } finally {
    await rm(folder, { recursive: true });
  }
}
