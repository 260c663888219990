# SPDX-FileCopyrightText: The meshfed authors
# SPDX-License-Identifier: Apache-2.0
#
# What would be done by hand, what is there, and how it goes. Wants the mesh of demo, and
# leaves none.
cd examples/two-clusters || exit
play 'meshfed plan -o commands | head -20'
play 'meshfed status'
play 'meshfed down --delete-certs --yes'
