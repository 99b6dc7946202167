#!/usr/bin/env python3
"""Writes the seed corpora: small inputs that reach every state of the parsers,
so that a short run starts where the interesting code is."""
import io, pathlib, random, struct, tarfile, zlib

ROOT = pathlib.Path(__file__).parent / 'corpus'
rng = random.Random(1)


def seed(target, name, data):
    folder = ROOT / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def text(size):
    return bytes(rng.choice(b'abcdef \n') for _ in range(size))


def raw(data, level=6, strategy=zlib.Z_DEFAULT_STRATEGY, flush_every=0):
    deflate = zlib.compressobj(level, zlib.DEFLATED, -15, 8, strategy)
    step = flush_every or max(len(data), 1)
    out = b''
    for at in range(0, len(data), step):
        out += deflate.compress(data[at:at + step])
        if flush_every:
            out += deflate.flush(zlib.Z_SYNC_FLUSH)
    return out + deflate.flush()


def header(flags=0):
    out = bytes([0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 255])
    if flags & 4:
        out += struct.pack('<H', 5) + b'extra'
    if flags & 8:
        out += b'name\0'
    if flags & 16:
        out += b'comment\0'
    if flags & 2:
        out += struct.pack('<H', zlib.crc32(out) & 0xffff)
    return out


def member(data, flags=0, **options):
    trailer = struct.pack('<II', zlib.crc32(data), len(data) & 0xffffffff)
    return header(flags) + raw(data, **options) + trailer


def tar(format):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=format) as archive:
        for name, kind, size in [('d/', tarfile.DIRTYPE, 0), ('d/file', tarfile.REGTYPE, 700),
                                 ('d/' + 'n' * 150, tarfile.REGTYPE, 3), ('link', tarfile.SYMTYPE, 0)]:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, size, 't' * (120 if kind == tarfile.SYMTYPE else 0)
            if format == tarfile.PAX_FORMAT:
                info.pax_headers = {'SCHILY.xattr.user.k': 'v', 'size': str(size)}
            archive.addfile(info, io.BytesIO(text(size)))
    return out.getvalue()[:12 * 1024]


layers = {
    'plain': member(text(5000)),
    'fixed': member(text(3000), strategy=zlib.Z_FIXED, flush_every=300),
    'stored': member(text(2000), level=0),
    'zeros': member(bytes(60000)),
    'empty': member(b''),
    'fields': member(text(500), flags=30),
    'members': member(b'') + member(text(900), flags=8) + member(b'') + member(text(900), flush_every=100),
    'trailing': member(text(100)) + bytes(20),
    'bad-crc': member(text(100))[:-8] + bytes(8),
}
for name, layer in layers.items():
    for span, chunks in [(0, b'\x00\x05\x40'), (8, b'\xff\xff\xff')]:
        seed('indexer', f'{name}-{span}', bytes([span, 3]) + chunks + layer)
    seed('span_decode', f'{name}-gzip', bytes([1, 0, 16, 3]) + b'\x03\x40\xff' + layer)
    seed('span_decode', f'{name}-raw', bytes([16, 7, 16, 0]) + b'\x03\x40\xff' + layer[10:])
for bits in range(1, 8):
    seed('span_decode', f'bits-{bits}', bytes([16 + 2 * bits, 7, 1, 0]) + b'\x00\x00\x00' + raw(text(200)))
for flags in (0, 2, 4, 8, 16, 30):
    seed('gzip_frame', f'flags-{flags}', b'\x00\x03\x90' + header(flags) + b'rest')
seed('gzip_frame', 'zlib', b'\x00\x00\x00' + zlib.compress(b'x'))


def escape(number_bytes):
    return number_bytes.replace(b'\xfe', b'').replace(b'\xff', b'\xfe')


def blob(points, skip=0):
    out = struct.pack('<iq', len(points), 1 << 22)
    for at, (i, o, b) in enumerate(points):
        if at >= skip:
            out += escape(struct.pack('<qqB', i, o, b)) + b'\xff\x00'
    return out


seed('zinfo_blob', 'v2', blob([(10, 0, 0), (100, 900, 3), (200, 1900, 7)]))
seed('zinfo_blob', 'v1', blob([(10, 0, 0), (100, 900, 3)], skip=1))
seed('zinfo_blob', 'v1-one', blob([(10, 0, 0)], skip=1))
seed('zinfo_blob', 'falls', blob([(10, 0, 0), (100, 900, 3), (100, 800, 8)]))
seed('zinfo_blob', 'count', struct.pack('<iq', -2, 1))

# 'C' where the checksum goes lets the target fill it in after mutations.
for name, format in [('gnu', tarfile.GNU_FORMAT), ('pax', tarfile.PAX_FORMAT)]:
    data = bytearray(tar(format))
    for at in range(0, len(data) - 511, 512):
        if data[at + 257:at + 262] == b'ustar':
            data[at + 148] = ord('C')
    seed('tar_scanner', name, b'\x20\xff\x05' + bytes(data))
old = bytearray(512)
old[:4], old[124:135], old[148] = b'old/', b'00000001000', ord('C')
seed('tar_scanner', 'old-directory', b'\x00\x90\x7f' + bytes(old) + bytes(1536))

# Two spans in one input, the length of the first in front of them.
pairs = {
    'texts': (16, raw(text(3000)), raw(text(2500), level=9)),
    'literals': (16, raw(text(2500), strategy=zlib.Z_HUFFMAN_ONLY), raw(text(3000))),
    'fixed': (16, raw(text(2000), strategy=zlib.Z_FIXED), raw(bytes(60000))),
    'stored': (16, raw(text(1500), level=0), raw(text(2000), flush_every=200)),
    'layers': (1, layers['members'], layers['fields']),
    'short': (16, raw(b'x'), raw(text(3000))),
}
for name, (choices, first, second) in pairs.items():
    for wanted in (7, 255):
        head = bytes([choices, choices, 7, 9, wanted, wanted]) + struct.pack('<H', len(first))
        seed('span_pair', f'{name}-{wanted}', head + first + second)

# Without a header: the target begins with one, and with a block of its own.
noise = bytes(rng.randrange(256) for _ in range(3000))
for name, options in [('dynamic', {}), ('fast', {'level': 1}), ('flushed', {'flush_every': 700}),
                      ('huffman', {'strategy': zlib.Z_HUFFMAN_ONLY}), ('stored', {'level': 0, 'flush_every': 900})]:
    data = text(40000) + noise + text(20000)
    trailer = struct.pack('<II', 0, len(data) + 32768)
    for chunks in (b'\x0f\x20\x08', b'\x20\x30\x28'):
        seed('marked_blocks', f'{name}-{chunks[0]}', b'\xff\x40' + chunks + raw(data, **options) + trailer)


def operation(kind, path=b'', link=b'', flags=0, mode=0, xattrs=(), **fields):
    get = lambda name: fields.get(name, 0)
    body = path + link + b''.join(struct.pack('<II', len(n), len(v)) + n + v for n, v in xattrs)
    length = 80 + len(body) + -len(body) % 8
    head = struct.pack('<IBBHIIIIIIqIIIIQQQ', length, kind, flags, len(xattrs), len(path), len(link), mode,
                       get('uid'), get('gid'), get('ns'), get('time'), get('major'), get('minor'), get('id'), 0,
                       get('tar'), get('size'), get('at'))
    return (head + body).ljust(length, b'\0')


directory, regular, begin, piece, end, symlink, hard, node, remove, clear, attributes = range(1, 12)
batches = {
    'files': [operation(directory, b'd', flags=6, mode=0o755, time=1), operation(regular, b'd/f', flags=7, mode=0o4755, size=40),
              operation(regular, b'a/b/c/d', tar=9, size=3)],
    'links': [operation(regular, b'f', size=1), operation(symlink, b'l', b'../../x', flags=4), operation(hard, b'h', b'f'),
              operation(symlink, b's', b'/'), operation(regular, b's/x'), operation(hard, b'i', b'l')],
    'pieces': [operation(begin, b'big', id=5), operation(piece, id=5, size=30, at=70000), operation(piece, id=5, tar=3, size=5),
               operation(end, id=5, at=100000, flags=2, mode=0o600)],
    'nodes': [operation(node, b'p', mode=0o10644, flags=6), operation(node, b'w', mode=0o20000),
              operation(node, b'b', mode=0o60660, major=8, minor=1, flags=8)],
    'replaced': [operation(regular, b'x/y/z', size=2), operation(symlink, b'x/y', b'..', flags=8), operation(directory, b'x/y', flags=8),
                 operation(regular, b'x', flags=72), operation(regular, b'x', flags=16), operation(remove, b'x')],
    'removed': [operation(regular, b'/'.join([b'd'] * 40)), operation(clear, b'd/d'), operation(remove, b'd'),
                operation(attributes, b'', flags=7, mode=0o700), operation(clear)],
    'xattrs': [operation(regular, b'x', flags=32, xattrs=[(b'user.a', b'v'), (b'user.b', b'')]),
               operation(attributes, b'x', flags=128, xattrs=[(b'user.c', b'w')])],
    'parent': [operation(regular, b'a/../../x')],
}
for name, operations in batches.items():
    for choices in (b'\x00\x00', b'\x01\x01'):
        seed('tree_batch', f'{name}-{choices[0]}', choices + b''.join(operations))
