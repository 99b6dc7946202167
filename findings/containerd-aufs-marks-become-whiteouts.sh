#!/usr/bin/env bash
# Names that begin with '.wh..wh.' are AUFS's own and say nothing of a layer's files; the
# OCI image specification knows '.wh..wh..opq' of them alone. containerd 1.6.20 (Debian
# 1.6.20~ds1-1+deb12u3), which unpacks for overlayfs, takes '.wh..wh.aufs' for the whiteout
# of a file '.wh.aufs': it makes a character device 0/0 of that name in the snapshot.
#
# A container does not see it, as overlayfs hides what the device stands for; whoever
# compares snapshots with the layer, or copies them as they are, finds a file that no
# layer has. Fails when that changes. Needs root, Debian's apt and python3; the package
# is only unpacked, not installed.
set -euo pipefail
work=$(mktemp -d)
daemon=
trap '[ -z "$daemon" ] || { kill "$daemon"; wait "$daemon" || true; }; rm -rf "$work"' EXIT
cd "$work"
apt-get download -qq containerd=1.6.20~ds1-1+deb12u3 runc >/dev/null
for package in *.deb; do dpkg -x "$package" tools; done

python3 - <<'P'
import gzip, hashlib, io, json, tarfile
def tar_of(*names):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode='w', format=tarfile.USTAR_FORMAT) as tar:
        for name in names: tar.addfile(tarfile.TarInfo(name), io.BytesIO(b''))
    return raw.getvalue()
tars = [tar_of('file'), tar_of('other', '.wh..wh.aufs')]
digest = lambda data: 'sha256:' + hashlib.sha256(data).hexdigest()
blobs = {}
def blob(data, type):
    blobs['blobs/' + digest(data).replace(':', '/')] = data
    return {'mediaType': type, 'digest': digest(data), 'size': len(data)}
oci = 'application/vnd.oci.image.'
config = blob(json.dumps({'architecture': 'amd64', 'os': 'linux', 'config': {}, 'rootfs': {'type': 'layers', 'diff_ids': [digest(tar) for tar in tars]}}).encode(), oci + 'config.v1+json')
layers = [blob(gzip.compress(tar), oci + 'layer.v1.tar+gzip') for tar in tars]
manifest = blob(json.dumps({'schemaVersion': 2, 'config': config, 'layers': layers}).encode(), oci + 'manifest.v1+json')
blobs['oci-layout'] = b'{"imageLayoutVersion":"1.0.0"}'
blobs['index.json'] = json.dumps({'schemaVersion': 2, 'manifests': [{**manifest, 'annotations': {'io.containerd.image.name': 'example/image:1'}}]}).encode()
with tarfile.open('image.tar', 'w') as archive:
    for name, data in blobs.items():
        member = tarfile.TarInfo(name); member.size = len(data); archive.addfile(member, io.BytesIO(data))
P

export PATH="$work/tools/usr/bin:$work/tools/usr/sbin:$PATH"
printf 'version = 2\nroot = "%s/root"\nstate = "%s/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "%s/socket"\n' "$work" "$work" "$work" >config.toml
containerd -c config.toml >containerd.log 2>&1 &
daemon=$!
for _ in $(seq 100); do [ -S socket ] && break; sleep 0.1; done
ctr -a socket images import --platform linux/amd64 --snapshotter overlayfs image.tar >/dev/null
found=$(cd root/io.containerd.snapshotter.v1.overlayfs/snapshots/2/fs && stat -c '%n %F %t,%T' .wh.aufs)
echo "in the snapshot: $found"
[ "$found" = '.wh.aufs character special file 0,0' ]
echo 'as described: a whiteout of a name that is in no layer'
