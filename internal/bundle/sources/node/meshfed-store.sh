#!/bin/sh
# SPDX-FileCopyrightText: The meshfed authors
# SPDX-License-Identifier: Apache-2.0
# Gives containerd the images that lie unpacked in this node image: its databases and the small
# manifests are copied, each snapshot is a link into the image, which all nodes of a host share.
# The metadata database comes last: while it is absent, the next start begins again.
set -eu
store=${1:-/kind/store}
root=${2:-/var/lib/containerd}
snapshots=io.containerd.snapshotter.v1.overlayfs
metadata=io.containerd.metadata.v1.bolt
blobs=io.containerd.content.v1.content/blobs

[ -f "$store/$metadata/meta.db" ] || exit 0
[ ! -f "$root/$metadata/meta.db" ] || exit 0
mkdir -p "$root/$snapshots/snapshots" "$root/$metadata" "$root/$blobs"
chmod 0700 "$root/$snapshots" "$root/$snapshots/snapshots"
for s in "$store/$snapshots/snapshots"/*; do
  ln -sfn "$s" "$root/$snapshots/snapshots/"
done
cp -r "$store/$blobs/." "$root/$blobs/"
cp "$store/$snapshots/metadata.db" "$root/$snapshots/metadata.db"
cp "$store/$metadata/meta.db" "$root/$metadata/meta.db.new"
mv "$root/$metadata/meta.db.new" "$root/$metadata/meta.db"
