/**
 * A disk in memory that does to the store what disks do: it fills up, fails,
 * stops between any two operations (in the middle of a write, too), and after a
 * power cut has lost what was not synced, sector by sector.
 */
import type { Disk, DiskAccess, DiskFile, DiskStat } from '../../lib/store/disk.js';

const SECTOR = 512;

interface Write {
  readonly at: number;
  readonly bytes: Uint8Array;
}

class Node {
  /** What a power cut leaves. */
  synced = new Uint8Array(0);
  unsynced: Write[] = [];
  content = new Uint8Array(0);
  modifiedAt = 0;

  constructor(readonly serial: number) {}

  write(bytes: Uint8Array, at: number): void {
    this.content = written(this.content, bytes, at);
    this.unsynced.push({ at, bytes: new Uint8Array(bytes) });
  }

  sync(): void {
    this.synced = new Uint8Array(this.content);
    this.unsynced = [];
  }
}

function written(content: Uint8Array, bytes: Uint8Array, at: number): Uint8Array<ArrayBuffer> {
  const grown = new Uint8Array(Math.max(content.length, at + bytes.length));
  grown.set(content);
  grown.set(bytes, at);
  return grown;
}

/** The process that did this is no more. */
export class Crash extends Error {}

export type DiskOperation = 'open' | 'read' | 'write' | 'sync' | 'rename' | 'remove' | 'folder' | 'stat';

export class MemoryDisk implements Disk {
  /** Of all files; more is ENOSPC, in the middle of a write. */
  capacityBytes = Number.POSITIVE_INFINITY;
  /** Called before each operation; what it throws is what the operation fails with. */
  fault: ((operation: DiskOperation, path: string) => void) | undefined;
  /** Operations that change something until the process is killed; the last one, if it writes, is done by halves. */
  operationsLeft = Number.POSITIVE_INFINITY;
  /** Operations that change something, so far. */
  operations = 0;
  #files: Map<string, Node>;
  /** The names that a power cut may go back to, oldest first. */
  #names: Map<string, Node>[] = [];
  #serial = 0;

  constructor(files = new Map<string, Node>()) {
    this.#files = files;
  }

  /** The disk as the next process finds it. */
  restarted(): MemoryDisk {
    const disk = new MemoryDisk(this.#files);
    disk.#serial = this.#serial + 1000;
    return disk;
  }

  /** The disk after a power cut. @param random from 0 to 1 */
  afterPowerCut(random: () => number): MemoryDisk {
    const names = this.#names[Math.floor(random() * (this.#names.length + 1))] ?? this.#files;
    const left = new Map<string, Node>();
    for (const [path, node] of names) {
      const copy = new Node(node.serial);
      let content = node.synced;
      for (const { at, bytes } of node.unsynced) {
        for (let from = 0; from < bytes.length; from += SECTOR) {
          if (random() < 0.5) content = written(content, bytes.subarray(from, from + SECTOR), at + from);
        }
      }
      copy.content = new Uint8Array(content);
      copy.sync();
      left.set(path, copy);
    }
    const disk = new MemoryDisk(left);
    disk.#serial = this.#serial + 1000;
    return disk;
  }

  get usedBytes(): number {
    return [...this.#files.values()].reduce((sum, { content }) => sum + content.length, 0);
  }

  paths(): string[] {
    return [...this.#files.keys()].sort();
  }

  /** The bytes of a file, to be looked at or damaged. */
  bytesOf(path: string): Uint8Array {
    const node = this.#files.get(path);
    if (node === undefined) throw new Error(`no ${path}`);
    return node.content;
  }

  async open(path: string, access: DiskAccess): Promise<DiskFile> {
    this.#look('open', path);
    let node = this.#files.get(path);
    if (node !== undefined && access === 'create') throw failure('EEXIST', path);
    if (node === undefined) {
      if (access === 'read') throw failure('ENOENT', path);
      this.#change();
      node = new Node(this.#serial++);
      node.modifiedAt = Date.now();
      this.#renamed(files => files.set(path, node!));
    }
    return new MemoryFile(this, path, node);
  }

  async stat(path: string): Promise<DiskStat | undefined> {
    this.#look('stat', path);
    const node = this.#files.get(path);
    return node && statOf(node);
  }

  async names(path: string): Promise<string[]> {
    this.#look('stat', path);
    const inside = this.paths().filter(name => name.startsWith(`${path}/`));
    return [...new Set(inside.map(name => name.slice(path.length + 1).split('/')[0]!))];
  }

  async makeFolder(path: string): Promise<void> {
    this.#look('folder', path);
  }

  async rename(from: string, to: string): Promise<void> {
    this.#look('rename', from);
    this.#change();
    const node = this.#files.get(from);
    if (node === undefined) throw failure('ENOENT', from);
    this.#renamed(files => {
      files.delete(from);
      files.set(to, node);
    });
  }

  async remove(path: string): Promise<void> {
    this.#look('remove', path);
    if (!this.#files.has(path)) return;
    this.#change();
    this.#renamed(files => files.delete(path));
  }

  async touch(path: string): Promise<void> {
    this.#look('write', path);
    const node = this.#files.get(path);
    if (node !== undefined) node.modifiedAt = Date.now();
  }

  async syncFolder(path: string): Promise<void> {
    this.#look('sync', path);
    this.#names = [];
  }

  async capacity(): Promise<number> {
    return this.capacityBytes;
  }

  /** @internal */
  async write(node: Node, path: string, bytes: Uint8Array, position: number): Promise<void> {
    this.#look('write', path);
    const last = this.operationsLeft === 1;
    this.#change();
    node.modifiedAt = Date.now();
    const room = this.capacityBytes - this.usedBytes;
    const more = Math.max(0, position + bytes.length - node.content.length);
    if (last) {
      node.write(bytes.subarray(0, Math.floor(bytes.length / 2)), position);
      throw new Crash();
    }
    if (more > room) {
      node.write(bytes.subarray(0, Math.max(0, bytes.length - (more - room))), position);
      throw failure('ENOSPC', path);
    }
    node.write(bytes, position);
  }

  /** @internal */
  async look(operation: DiskOperation, path: string): Promise<void> {
    this.#look(operation, path);
  }

  #look(operation: DiskOperation, path: string): void {
    if (this.operationsLeft <= 0) throw new Crash();
    this.fault?.(operation, path);
  }

  #change(): void {
    this.operations++;
    this.operationsLeft--;
    if (this.operationsLeft < 0) throw new Crash();
  }

  #renamed(change: (files: Map<string, Node>) => void): void {
    this.#names.push(new Map(this.#files));
    change(this.#files);
  }
}

class MemoryFile implements DiskFile {
  readonly descriptor = undefined;
  readonly #disk: MemoryDisk;
  readonly #path: string;
  readonly #node: Node;
  #closed = false;

  constructor(disk: MemoryDisk, path: string, node: Node) {
    this.#disk = disk;
    this.#path = path;
    this.#node = node;
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    await this.#look('read');
    const part = this.#node.content.subarray(position, position + target.length);
    target.set(part);
    return part.length;
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    if (this.#closed) throw failure('EBADF', this.#path);
    await this.#disk.write(this.#node, this.#path, bytes, position);
  }

  async datasync(): Promise<void> {
    await this.#look('sync');
    this.#node.sync();
  }

  async stat(): Promise<DiskStat> {
    await this.#look('stat');
    return statOf(this.#node);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  async #look(operation: DiskOperation): Promise<void> {
    if (this.#closed) throw failure('EBADF', this.#path);
    await this.#disk.look(operation, this.#path);
  }
}

function statOf({ content, serial, modifiedAt }: Node): DiskStat {
  return { size: content.length, allocated: content.length, identity: String(serial), modifiedAt };
}

export function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
