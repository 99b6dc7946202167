/**
 * Executes batches of operations with Python's os module: slow, and nothing of ours
 * but the layout of a record. What the addon does is held against it, and so is
 * what TypeScript asks for while nothing native is in the way.
 */
import { spawn } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { BatchResult } from '../../lib/native-tree.js';
import type { ExecutorOptions } from '../../lib/unpack/executors.js';
import type { OperationExecutor } from '../../lib/unpack/operation-executor.js';

const SCRIPT = `
import base64, json, os, shutil, stat, sys
def raw(text): return text.encode('latin1')
def at(path): return os.path.join(root, raw(path)) if path else root
def remove(path):
    try: mode = os.lstat(path).st_mode
    except FileNotFoundError: return
    if stat.S_ISDIR(mode): shutil.rmtree(path)
    else: os.unlink(path)
def parents(path):
    above = os.path.dirname(path)
    if len(above) > len(root) and not os.path.lexists(above):
        parents(above)
        os.mkdir(above, 0o755)
        os.chmod(above, 0o755)
    assert os.path.realpath(above) == os.path.realpath(root) + above[len(root):], 'a link on the way to %r' % path
def attributes(path, op):
    flags, link = op['flags'], os.path.islink(path)
    if flags & 1:
        try: os.lchown(path, op['uid'], op['gid'])
        except PermissionError:
            if privileged: raise
            skipped['owners'] += 1
    for name, value in op['xattrs']:
        try: os.setxattr(path, raw(name), raw(value), follow_symlinks=False)
        except OSError:
            if flags & 32 or privileged: raise
            skipped['xattrs'] += 1
    if flags & 2 and not link: os.chmod(path, op['mode'] & 0o7777)
    if flags & 4:
        ns = op['mtime'] * 10**9 + op['nanoseconds']
        os.utime(path, ns=(ns, ns), follow_symlinks=False)
def execute(op):
    kind, flags, path = op['kind'], op['flags'], at(op['path'])
    if op['path']: parents(path)
    if flags & 8 and not (kind == 1 and os.path.isdir(path) and not os.path.islink(path)): remove(path)
    if kind == 1:
        if not os.path.isdir(path) or os.path.islink(path):
            os.mkdir(path, 0o755)
            os.chmod(path, 0o755)
        attributes(path, op)
    elif kind in (2, 3):
        fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        os.write(fd, base64.b64decode(op['bytes']))
        os.close(fd)
        if kind == 2: attributes(path, op)
    elif kind == 4:
        fd = os.open(path, os.O_WRONLY)
        os.pwrite(fd, base64.b64decode(op['bytes']), op['position'])
        os.close(fd)
    elif kind == 5:
        os.truncate(path, op['position'])
        attributes(path, op)
    elif kind == 6:
        os.symlink(raw(op['link']), path)
        attributes(path, op)
    elif kind == 7: os.link(at(op['link']), path, follow_symlinks=False)
    elif kind == 8:
        try:
            os.mknod(path, op['mode'], os.makedev(*op['device']))
            attributes(path, op)
        except PermissionError:
            if privileged: raise
            skipped['devices'] += 1
    elif kind == 9: remove(path)
    elif kind == 11: attributes(path, op)
    elif kind == 12: os.sync()
    else: raise ValueError('kind %d' % kind)
for line in sys.stdin:
    order = json.loads(line)
    root, privileged = order['root'].encode(), order['privileged']
    skipped = {'owners': 0, 'xattrs': 0, 'devices': 0}
    result = {}
    for number, op in enumerate(order['operations']):
        try: execute(op)
        except OSError as error:
            result['failed'] = {'operation': number, 'call': 'os', 'errno': error.errno}
            break
    result.update(skippedOwners=skipped['owners'], skippedXattrs=skipped['xattrs'], skippedDevices=skipped['devices'])
    print(json.dumps(result), flush=True)
`;

export class ReferenceExecutor implements OperationExecutor {
  readonly #root: string;
  readonly #privileged: boolean;
  readonly #chunks: { readonly offset: number; readonly bytes: Buffer }[] = [];
  readonly #files = new Map<number, string>();
  #end = 0;
  #aborted = false;
  readonly #python = new Python();

  constructor({ root, privileged }: ExecutorOptions) {
    this.#root = readlinkSync(`/proc/self/fd/${root}`);
    this.#privileged = privileged;
  }

  get heldBytes(): number {
    return this.#chunks.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  add(offset: number, bytes: Uint8Array): void {
    if (offset !== this.#end) throw new Error(`a gap before ${offset}`);
    this.#chunks.push({ offset, bytes: Buffer.from(bytes) });
    this.#end += bytes.length;
  }

  release(offset: number): void {
    while (this.#chunks[0] && this.#chunks[0].offset + this.#chunks[0].bytes.length <= offset)
      this.#chunks.shift();
  }

  read(offset: number, length: number): Uint8Array {
    const parts = this.#chunks.map(({ offset: at, bytes }) =>
      bytes.subarray(Math.max(0, offset - at), Math.max(0, offset + length - at)),
    );
    const found = Buffer.concat(parts);
    if (found.length !== length) throw new Error(`${length} bytes at ${offset} are not held`);
    return found;
  }

  async run(batch: Uint8Array): Promise<BatchResult> {
    const operations = decodeBatch(Buffer.from(batch)).map(operation => this.#prepared(operation));
    // Side by side with others, in any order.
    await delay(Math.random() * 5);
    if (this.#aborted) throw new Error('aborted');
    const order = { root: this.#root, privileged: this.#privileged, operations };
    return JSON.parse(await this.#python.ask(JSON.stringify(order))) as BatchResult;
  }

  abort(): void {
    this.#aborted = true;
  }

  async close(): Promise<void> {
    this.#chunks.length = 0;
    this.#python.end();
  }

  #prepared(operation: Decoded): Decoded & { readonly bytes: string } {
    const { kind, file, tarOffset, length } = operation;
    if (kind === 3) this.#files.set(file, operation.path);
    const path = kind === 4 ? (this.#files.get(file) ?? '') : operation.path;
    return { ...operation, path, bytes: Buffer.from(this.read(tarOffset, length)).toString('base64') };
  }
}

interface Decoded {
  readonly kind: number;
  readonly flags: number;
  readonly path: string;
  readonly link: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly nanoseconds: number;
  readonly device: readonly [number, number];
  readonly file: number;
  readonly tarOffset: number;
  readonly length: number;
  readonly position: number;
  readonly xattrs: readonly (readonly [string, string])[];
}

/** By the layout that native/core/tree has, checked as it checks it. */
export function decodeBatch(bytes: Buffer): Decoded[] {
  const decoded: Decoded[] = [];
  for (let at = 0; at < bytes.length; ) {
    const record = bytes.subarray(at, at + bytes.readUInt32LE(at));
    at += record.length;
    let end = 80;
    const text = (length: number): string => {
      end += length;
      return record.toString('latin1', end - length, end);
    };
    const [path, link] = [text(record.readUInt32LE(8)), text(record.readUInt32LE(12))];
    const xattrs = Array.from({ length: record.readUInt16LE(6) }, () => {
      const [name, value] = [record.readUInt32LE(end), record.readUInt32LE(end + 4)];
      end += 8;
      return [text(name), text(value)] as const;
    });
    const unclean = path.split('/').some(part => ['', '.', '..'].includes(part) || part.includes('\0'));
    if (record.length % 8 !== 0 || end > record.length || (path !== '' && unclean)) {
      throw new Error(`a malformed record for ${JSON.stringify(path)}`);
    }
    decoded.push({
      kind: record[4] as number,
      flags: record[5] as number,
      path,
      link,
      mode: record.readUInt32LE(16),
      uid: record.readUInt32LE(20),
      gid: record.readUInt32LE(24),
      nanoseconds: record.readUInt32LE(28),
      mtime: Number(record.readBigInt64LE(32)),
      device: [record.readUInt32LE(40), record.readUInt32LE(44)],
      file: record.readUInt32LE(48),
      tarOffset: Number(record.readBigInt64LE(56)),
      length: Number(record.readBigInt64LE(64)),
      position: Number(record.readBigInt64LE(72)),
      xattrs,
    });
  }
  return decoded;
}

/** One process for all that a test executes, asked and answered in lines. */
class Python {
  readonly #answers: ((line: string) => void)[] = [];
  readonly #child = spawn('python3', ['-c', SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] });

  constructor() {
    createInterface(this.#child.stdout).on('line', line => this.#answers.shift()?.(line));
    this.#child.on('exit', () => {
      for (const answer of this.#answers.splice(0)) answer('{}');
    });
  }

  ask(line: string): Promise<string> {
    this.#child.stdin.write(`${line}\n`);
    return new Promise(resolve => this.#answers.push(resolve));
  }

  end(): void {
    this.#child.stdin.end();
  }
}
