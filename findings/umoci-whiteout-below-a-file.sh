#!/usr/bin/env bash
# umoci 0.4.7 (Debian 0.4.7+ds-3+b7): where a file has taken the place of a folder,
# `umoci repack` writes the file and, behind it, a whiteout of each name that the
# folder held, below the file. So the layer has entries below what is no directory:
#
#   etc/folder                  a regular file
#   etc/folder/.wh.inside       a whiteout whose parent it is
#
# Who makes missing parents of entries (as for any other entry) replaces the file by
# a folder; who refuses a path through a file refuses the layer. The file alone would
# have hidden the folder. Fails when umoci writes something else. Needs Debian's apt.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download -qq umoci=0.4.7+ds-3+b7 >/dev/null
dpkg -x umoci_*.deb unpacked
umoci() { "$work/unpacked/usr/bin/umoci" "$@" >/dev/null 2>&1; }

umoci init --layout image
umoci new --image image:tag
umoci unpack --rootless --image image:tag bundle
mkdir -p bundle/rootfs/etc/folder
echo inside >bundle/rootfs/etc/folder/inside
umoci repack --refresh-bundle --image image:tag bundle
rm -r bundle/rootfs/etc/folder
echo 'a file now' >bundle/rootfs/etc/folder
umoci repack --image image:tag bundle

for blob in image/blobs/sha256/*; do
  gzip -t "$blob" 2>/dev/null || continue
  names=$(tar -tzf "$blob")
  grep -qx 'etc/folder/.wh.inside' <<<"$names" || continue
  grep -qx 'etc/folder' <<<"$names"
  tar -tvzf "$blob" etc/folder | grep -q '^-'
  tar -tvzf "$blob"
  echo 'as described: a whiteout below a regular file of its own layer'
  exit 0
done
echo 'umoci wrote no whiteout below the file' >&2
exit 1
