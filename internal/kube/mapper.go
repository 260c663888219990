// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// mapper finds the resource of a kind and asks the API server anew when it knows none.
//
// controller-runtime's mapper remembers a group as it first saw it. While Istio's custom
// resource definitions are being made, that is a group without some of its kinds, and those
// would be missing for as long as the client lives.
type mapper struct {
	build func() (meta.RESTMapper, error)

	mu sync.RWMutex
	meta.RESTMapper
}

// RESTMapping finds the mapping of one kind.
func (m *mapper) RESTMapping(kind schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	return afresh(m, func(r meta.RESTMapper) (*meta.RESTMapping, error) { return r.RESTMapping(kind, versions...) })
}

// RESTMappings finds all mappings of one kind.
func (m *mapper) RESTMappings(kind schema.GroupKind, versions ...string) ([]*meta.RESTMapping, error) {
	return afresh(m, func(r meta.RESTMapper) ([]*meta.RESTMapping, error) { return r.RESTMappings(kind, versions...) })
}

// afresh asks what is remembered, and the API server once more when that is not enough.
func afresh[T any](m *mapper, ask func(meta.RESTMapper) (T, error)) (T, error) {
	m.mu.RLock()
	known := m.RESTMapper
	m.mu.RUnlock()
	found, err := ask(known)
	if !meta.IsNoMatchError(err) {
		return found, err
	}
	built, berr := m.build()
	if berr != nil {
		return found, err
	}
	m.mu.Lock()
	m.RESTMapper = built
	m.mu.Unlock()
	return ask(built)
}
