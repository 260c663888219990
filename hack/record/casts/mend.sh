# SPDX-FileCopyrightText: The meshfed authors
# SPDX-License-Identifier: Apache-2.0
#
# Somebody deletes a remote secret; verify sees it and up mends it. Wants the mesh of demo.
cd examples/two-clusters || exit
play 'meshfed each --clusters west -- kubectl -n istio-system delete secret istio-remote-secret-east'
play 'meshfed verify --suite discovery'
play 'meshfed plan'
play 'meshfed up'
