#!/bin/sh
# SPDX-FileCopyrightText: The meshfed authors
# SPDX-License-Identifier: Apache-2.0
# Writes the pod network of this node once Kubernetes has given it a pod address range: a bridge,
# in place of kind's own network plug-in. It serves clusters of one node.
set -eu
dir=/etc/cni/net.d
while :; do
  range=$(kubectl --kubeconfig=/etc/kubernetes/kubelet.conf --request-timeout=5s \
    get node "$(hostname)" -o 'jsonpath={.spec.podCIDR}' 2>/dev/null) || range=
  [ -z "$range" ] || break
  sleep 0.3
done
mkdir -p "$dir"
# Written beside the folder, which containerd watches, and moved into it when it is complete.
cat > "/etc/cni/.10-meshfed" <<C
{
  "cniVersion": "1.0.0",
  "name": "meshfed",
  "plugins": [
    {
      "type": "bridge",
      "bridge": "cni0",
      "isGateway": true,
      "ipMasq": true,
      "hairpinMode": true,
      "ipam": {
        "type": "host-local",
        "ranges": [[{"subnet": "$range"}]],
        "routes": [{"dst": "0.0.0.0/0"}]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
C
mv "/etc/cni/.10-meshfed" "$dir/10-meshfed.conflist"
