// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package install owns everything that touches one cluster: its load balancer, Istio's
// namespace, the control plane's certificate authority, Istio itself and its gateways.
//
// Each of these is a Part: a value with Look, which finds out what is to be done, and Do,
// which does it and returns when the cluster has it. The order of parts is not known here;
// what a part needs of another (gateways need the injection webhook) it waits for, with a
// state that says so. Charts are installed as Helm releases that other tools can read,
// half-done ones are mended, and what has drifted from them is put back.
//
// It refuses to look into a second cluster (with one exception that changes nothing:
// RootsAgree compares what was read from several), to take over what others installed, to
// replace a certificate authority that does not chain to the topology's root, and to
// delete custom resource definitions while others use them.
package install
