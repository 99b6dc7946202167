/** All that a directory of this machine has, so that two of them can be compared. */
import { spawnSync } from 'node:child_process';

export interface DiskEntry {
  /** Byte strings. */
  readonly path: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly size: number;
  /** KiB on the disk. */
  readonly blocks: number;
  /** As a decimal number. */
  readonly mtime: string;
  readonly device: readonly [number, number];
  readonly link: string | null;
  readonly sha256: string | null;
  readonly text: string | null;
  readonly xattrs: Readonly<Record<string, string>>;
}

const SCRIPT = `
import hashlib, json, os, stat, sys
root = sys.argv[1].encode()
found = []
def look(path, name):
    # overlayfs names a whiteout in a directory that no lower layer has, and denies that it is there.
    try: st = os.lstat(path)
    except FileNotFoundError: return
    entry = {'path': name.decode('latin1'), 'mode': st.st_mode, 'uid': st.st_uid, 'gid': st.st_gid, 'nlink': st.st_nlink,
             'size': st.st_size, 'blocks': st.st_blocks // 2, 'mtime': str(st.st_mtime_ns),
             'device': [os.major(st.st_rdev), os.minor(st.st_rdev)], 'link': None, 'sha256': None, 'text': None,
             'xattrs': {}}
    for key in sorted(os.listxattr(path, follow_symlinks=False)):
        if not key.startswith('security.selinux'):
            entry['xattrs'][key] = os.getxattr(path, key, follow_symlinks=False).decode('latin1')
    if stat.S_ISLNK(st.st_mode): entry['link'] = os.readlink(path).decode('latin1')
    if stat.S_ISREG(st.st_mode):
        digest = hashlib.sha256()
        with open(path, 'rb') as file:
            first = file.read(1 << 20)
            digest.update(first)
            while len(block := file.read(1 << 20)): digest.update(block)
        entry['sha256'] = digest.hexdigest()
        entry['text'] = first[:64].decode('latin1')
    found.append(entry)
    if stat.S_ISDIR(st.st_mode):
        for child in sorted(os.listdir(path)): look(os.path.join(path, child), (name + b'/' if name else b'') + child)
look(root, b'')
json.dump(found, sys.stdout)
`;

/** The directory itself first, '' its path; then what is in it, sorted, each directory before what is in that. */
export function walkDisk(directory: string): DiskEntry[] {
  const { stdout, stderr, status } = spawnSync('python3', ['-c', SCRIPT, directory], { maxBuffer: 2 ** 30 });
  if (status !== 0) throw new Error(stderr.toString());
  return JSON.parse(stdout.toString()) as DiskEntry[];
}

/** 'dir/', 'file text', 'link -> target', 'device c1,3', 'fifo |', each with ' opaque' if it is. */
export function listDisk(directory: string): string[] {
  return walkDisk(directory)
    .filter(({ path }) => path !== '')
    .map(entry => shown(entry));
}

function shown({ path, mode, link, text, device, xattrs }: DiskEntry): string {
  const opaque = xattrs['trusted.overlay.opaque'] === 'y' ? ' opaque' : '';
  switch (mode & 0o170000) {
    case 0o040000:
      return `${path}/${opaque}`;
    case 0o120000:
      return `${path} -> ${link}`;
    case 0o020000:
      return `${path} c${device.join(',')}`;
    case 0o010000:
      return `${path} |`;
    default:
      return `${path} ${text}`;
  }
}
