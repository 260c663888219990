// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kubetest

import (
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
)

// Silence makes an API group fall silent, as one does whose server is not there: discovery tells of
// it and of the others all the same.
func (c *Cluster) Silence(group string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.silent = group
}

// discovering is a clientset that tells which kinds there are.
type discovering struct {
	kubernetes.Interface
	cluster *Cluster
}

func (d discovering) Discovery() discovery.DiscoveryInterface {
	return discovered{d.Interface.Discovery(), d.cluster}
}

type discovered struct {
	discovery.DiscoveryInterface
	cluster *Cluster
}

// ServerPreferredResources implements discovery.ServerResourcesInterface, which the fake leaves out.
func (d discovered) ServerPreferredResources() ([]*metav1.APIResourceList, error) {
	core := &metav1.APIResourceList{GroupVersion: "v1"}
	for kind, name := range map[string]string{
		"ConfigMap": "configmaps", "Event": "events", "PersistentVolumeClaim": "persistentvolumeclaims", "Pod": "pods", "Secret": "secrets",
		"Service": "services", "ServiceAccount": "serviceaccounts",
	} {
		core.APIResources = append(core.APIResources, metav1.APIResource{Name: name, Kind: kind, Namespaced: true, Verbs: metav1.Verbs{"get", "list"}})
	}
	for kind, name := range map[string]string{"Namespace": "namespaces", "Node": "nodes"} {
		core.APIResources = append(core.APIResources, metav1.APIResource{Name: name, Kind: kind, Verbs: metav1.Verbs{"get", "list"}})
	}
	d.cluster.mu.Lock()
	defer d.cluster.mu.Unlock()
	if d.cluster.silent == "" {
		return []*metav1.APIResourceList{core}, nil
	}
	return []*metav1.APIResourceList{core}, &discovery.ErrGroupDiscoveryFailed{Groups: map[schema.GroupVersion]error{
		{Group: d.cluster.silent, Version: "v1beta1"}: errors.New("the server is currently unable to handle the request"),
	}}
}
