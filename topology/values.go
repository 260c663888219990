// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

// Values of the fields that accept only certain words.
const (
	// MTLSPermissive and MTLSStrict are the values of spec.mesh.mtls.
	MTLSPermissive = "Permissive"
	MTLSStrict     = "Strict"
	// KeepFile and KeepNone are the values of spec.certificates.root.keep.
	KeepFile = "File"
	KeepNone = "None"
	// RefreshManual and RefreshInCluster are the values of spec.credentials.refresh.
	RefreshManual    = "Manual"
	RefreshInCluster = "InCluster"
	// LoadBalancerMetalLB, LoadBalancerExisting and LoadBalancerNone are the values of a
	// cluster's loadBalancer.type.
	LoadBalancerMetalLB  = "MetalLB"
	LoadBalancerExisting = "Existing"
	LoadBalancerNone     = "None"
	// ServiceLoadBalancer and ServiceNodePort are the values of eastWest.service.type.
	ServiceLoadBalancer = "LoadBalancer"
	ServiceNodePort     = "NodePort"
	// RoleControlPlane and RoleWorker are the values of a node's role.
	RoleControlPlane = "control-plane"
	RoleWorker       = "worker"
	// AlgorithmECDSAP256 is the default algorithm of keys; the others are further values.
	AlgorithmECDSAP256 = "ECDSA-P256"
	AlgorithmECDSAP384 = "ECDSA-P384"
	AlgorithmRSA2048   = "RSA-2048"
	AlgorithmRSA3072   = "RSA-3072"
	AlgorithmRSA4096   = "RSA-4096"
)
