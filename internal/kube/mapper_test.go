// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// A kind that is defined after its group was first looked at is found without a new client.
func TestMapperSeesKindsThatAreDefinedLater(t *testing.T) {
	t.Parallel()
	group := schema.GroupVersion{Group: "networking.istio.io", Version: "v1"}
	defined := []string{"VirtualService"}
	builds := 0
	m := &mapper{build: func() (meta.RESTMapper, error) {
		builds++
		r := meta.NewDefaultRESTMapper([]schema.GroupVersion{group})
		for _, kind := range defined {
			r.Add(group.WithKind(kind), meta.RESTScopeNamespace)
		}
		return r, nil
	}}
	m.RESTMapper, _ = m.build()
	gateway := group.WithKind("Gateway").GroupKind()
	if _, err := m.RESTMapping(gateway, "v1"); !meta.IsNoMatchError(err) {
		t.Fatalf("a kind that is not defined: %v", err)
	}
	defined = append(defined, "Gateway")
	if _, err := m.RESTMapping(gateway, "v1"); err != nil {
		t.Fatalf("a kind that was defined later: %v", err)
	}
	if found, err := m.RESTMappings(gateway); err != nil || len(found) != 1 {
		t.Errorf("all mappings: %v, %v", found, err)
	}
	if builds != 3 {
		t.Errorf("discovery ran %d times, want 3: what is known is not asked again", builds)
	}
}
