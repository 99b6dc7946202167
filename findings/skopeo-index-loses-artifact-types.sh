#!/usr/bin/env bash
# skopeo 1.9.3 (Debian 1.9.3+ds1-1+b10): `skopeo copy --all` of an index whose
# descriptors have an artifactType (image-spec 1.1, descriptor.md) writes the index
# anew without it, under another digest, and exits with 0. Annotations are kept, and
# so are the manifests, which still say their type.
#
# An index of referrers that was copied this way (the tag `sha256-...` of registries
# without the referrers API) can no longer be filtered by artifactType: each manifest
# has to be fetched to know what it is. Fails when that changes. Needs Debian's apt
# and python3; packages are only unpacked, not installed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download -qq skopeo=1.9.3+ds1-1+b10 libgpgme11 libassuan0 libgpg-error0 libdevmapper1.02.1 >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" tools; done
libraries=$(dirname "$(find tools -name 'libgpgme.so.11' | head -1)")
export LD_LIBRARY_PATH="$work/$libraries:$work/tools/lib/$(basename "$libraries")"

python3 - <<'P'
import hashlib, json, os
os.makedirs('from/blobs/sha256')
oci, kind = 'application/vnd.oci.', 'application/vnd.example.signature'
def blob(data, type, **more):
    data = data if isinstance(data, bytes) else json.dumps(data).encode()
    hex = hashlib.sha256(data).hexdigest()
    open('from/blobs/sha256/' + hex, 'wb').write(data)
    return {'mediaType': type, 'digest': 'sha256:' + hex, 'size': len(data), **more}
config, layer = blob(b'{}', oci + 'empty.v1+json'), blob(b'signature', 'text/plain')
type = oci + 'image.manifest.v1+json'
manifest = blob({'schemaVersion': 2, 'mediaType': type, 'artifactType': kind, 'config': config, 'layers': [layer]},
                type, artifactType=kind, annotations={'org.example.note': 'kept'})
type = oci + 'image.index.v1+json'
index = blob({'schemaVersion': 2, 'mediaType': type, 'manifests': [manifest]}, type)
open('from/oci-layout', 'w').write('{"imageLayoutVersion":"1.0.0"}')
named = {**index, 'annotations': {'org.opencontainers.image.ref.name': 'tag'}}
json.dump({'schemaVersion': 2, 'manifests': [named]}, open('from/index.json', 'w'))
P

tools/usr/bin/skopeo --insecure-policy copy -q --all oci:from:tag oci:to:tag
python3 - <<'P'
import json
def index(layout):
    entry = json.load(open(layout + '/index.json'))['manifests'][0]
    return entry['digest'], json.load(open(layout + '/blobs/' + entry['digest'].replace(':', '/')))['manifests'][0]
(before, first), (after, copied) = index('from'), index('to')
print('before:', before, json.dumps(first)); print('after: ', after, json.dumps(copied))
assert before != after and 'artifactType' in first and 'artifactType' not in copied
assert copied['annotations'] == first['annotations'] and copied['digest'] == first['digest']
P
echo 'as described: the type is gone, the rest is there, and the exit status was 0'
