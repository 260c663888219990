// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package kind owns clusters made by kind (sigs.k8s.io/kind): their configuration, making and
// removing them, mending what was left half-made, and their kubeconfigs.
//
// kind's library takes no context and can not be stopped, so it runs in a child process of the
// same binary, see ChildMain. The child is in a process group of its own, is ended with all it
// started when the context is cancelled, and ends itself when its parent dies.
//
// kind has no labels of the user's for its containers. A cluster is ours when it has our name
// and sits on our labelled container network; once it is whole, a record inside of its node
// says so too and holds the spec that it was made from. A cluster without that record is
// half-made, however well it may seem to run. On a network that is everybody's, such as the one
// called kind, only that record counts, or what was noted down on this host before the cluster
// was made.
//
// Node addresses do not survive a restart. Other clusters' pods reach an API by the name of its
// node where the engine's DNS serves names; routes between the nodes are written again, and the
// record tells what has moved. An engine that was killed leaves the interfaces of its containers
// on the network for up to two minutes, with the addresses that it gives to the next ones:
// nodes that were started lately are looked at from another one, and make themselves heard.
//
// It refuses clusters of the same name that are not proven ours, several control planes (their
// etcds lose each other with their addresses), and it never changes a user's own kubeconfig.
package kind
