# SPDX-FileCopyrightText: The meshfed authors
# SPDX-License-Identifier: Apache-2.0
#
# From nothing to a proven mesh. Wants a bundle that is built, and no mesh.
play 'make demo'
