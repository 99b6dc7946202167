#!/usr/bin/env bash
# Two tar headers for one inode: a file of mode 0600, then a hard link to it whose
# header says 0755. containerd 2.1.9 and buildah 1.28.2 unpack images so that the second
# header is put on the inode, and both names are 0755. Others do not (shown here):
#
#   GNU tar 1.34 (Debian 1.34+dfsg-1.2+deb12u1)   0600: a link's header is ignored
#   umoci 0.4.7 (Debian 0.4.7+ds-3+b7)            0600, the same
#
# So the mode (owner, time, xattrs) that a container sees of such a file is not what
# `tar -x` and `umoci unpack` leave of the same layer. Fails when that changes. Needs
# Debian's apt and python3; packages are only unpacked, not installed.
set -euo pipefail
work=$(mktemp -d)
trap 'chmod -R u+rwX "$work"; rm -rf "$work"' EXIT
cd "$work"
apt-get download -qq umoci=0.4.7+ds-3+b7 tar=1.34+dfsg-1.2+deb12u1 >/dev/null
for package in *.deb; do dpkg -x "$package" tools; done

python3 - <<'P'
import gzip, hashlib, io, json, os, tarfile
raw = io.BytesIO()
with tarfile.open(fileobj=raw, mode='w', format=tarfile.USTAR_FORMAT) as tar:
    file = tarfile.TarInfo('file'); file.mode = 0o600; file.size = 3
    tar.addfile(file, io.BytesIO(b'abc'))
    link = tarfile.TarInfo('link'); link.type = tarfile.LNKTYPE; link.linkname = 'file'; link.mode = 0o755
    tar.addfile(link)
tar = raw.getvalue(); open('layer.tar', 'wb').write(tar)
digest = lambda data: 'sha256:' + hashlib.sha256(data).hexdigest()
os.makedirs('image/blobs/sha256')
def blob(data, type):
    open('image/blobs/' + digest(data).replace(':', '/'), 'wb').write(data)
    return {'mediaType': type, 'digest': digest(data), 'size': len(data)}
oci = 'application/vnd.oci.image.'
config = blob(json.dumps({'architecture': 'amd64', 'os': 'linux', 'config': {}, 'rootfs': {'type': 'layers', 'diff_ids': [digest(tar)]}}).encode(), oci + 'config.v1+json')
layer = blob(gzip.compress(tar), oci + 'layer.v1.tar+gzip')
manifest = blob(json.dumps({'schemaVersion': 2, 'config': config, 'layers': [layer]}).encode(), oci + 'manifest.v1+json')
open('image/oci-layout', 'w').write('{"imageLayoutVersion":"1.0.0"}')
json.dump({'schemaVersion': 2, 'manifests': [{**manifest, 'annotations': {'org.opencontainers.image.ref.name': 'tag'}}]}, open('image/index.json', 'w'))
P

mkdir by-tar
tools/bin/tar -xf layer.tar -C by-tar
tools/usr/bin/umoci unpack --rootless --image image:tag bundle >/dev/null 2>&1
for root in by-tar bundle/rootfs; do
  found=$(stat -c '%a %h' "$root/file" "$root/link" | sort -u)
  echo "$root: mode and links of both names: $found"
  [ "$found" = '600 2' ] || exit 1
done
echo 'as described: the header of the link changes nothing'
