// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"

	"helm.sh/helm/v4/pkg/action"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"

	"github.com/meshfed/meshfed/internal/kube"
)

// configure prepares Helm's actions for one release: on c's connection, with records in
// Secrets, and silent. Neither kubeconfig files nor HELM_* variables have a say.
func (r Release) configure(c *kube.Client) (*action.Configuration, error) {
	if c.REST == nil {
		return nil, errors.New("preparing Helm: the client has no REST configuration")
	}
	found, err := discovery.NewDiscoveryClientForConfig(c.REST)
	if err != nil {
		return nil, fmt.Errorf("preparing Helm: %w", err)
	}
	cached := memory.NewMemCacheClient(found)
	connection := &connection{
		config: c.REST, namespace: r.Namespace, discovery: cached,
		mapper: restmapper.NewDeferredDiscoveryRESTMapper(cached),
	}
	cfg := action.NewConfiguration(action.ConfigurationSetLogger(slog.DiscardHandler))
	if err := cfg.Init(connection, r.Namespace, "secrets"); err != nil {
		return nil, fmt.Errorf("preparing Helm: %w", err)
	}
	return cfg, nil
}

// connection is how Helm reaches the cluster: its RESTClientGetter.
type connection struct {
	config    *rest.Config
	namespace string
	discovery discovery.CachedDiscoveryInterface
	mapper    meta.RESTMapper
}

// ToRESTConfig returns a copy: kubectl's factory writes into what it gets.
func (c *connection) ToRESTConfig() (*rest.Config, error) { return rest.CopyConfig(c.config), nil }

// ToDiscoveryClient implements Helm's RESTClientGetter.
func (c *connection) ToDiscoveryClient() (discovery.CachedDiscoveryInterface, error) {
	return c.discovery, nil
}

// ToRESTMapper implements Helm's RESTClientGetter.
func (c *connection) ToRESTMapper() (meta.RESTMapper, error) { return c.mapper, nil }

// ToRawKubeConfigLoader is asked for the default namespace only.
func (c *connection) ToRawKubeConfigLoader() clientcmd.ClientConfig {
	return clientcmd.NewDefaultClientConfig(clientcmdapi.Config{}, &clientcmd.ConfigOverrides{
		Context: clientcmdapi.Context{Namespace: c.namespace},
	})
}

// relabel is the post-renderer: it puts labels on every object (not on pod templates: a
// change of labels shall restart nothing) and lets adjust have its say.
type relabel struct {
	labels map[string]string
	adjust func(*unstructured.Unstructured) bool
}

// Run implements postrenderer.PostRenderer.
func (p relabel) Run(rendered *bytes.Buffer) (*bytes.Buffer, error) {
	objects, err := decode(rendered)
	if err != nil {
		return nil, fmt.Errorf("labelling rendered objects: %w", err)
	}
	var out bytes.Buffer
	for _, u := range objects {
		labels := u.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		maps.Copy(labels, p.labels)
		u.SetLabels(labels)
		if p.adjust != nil && !p.adjust(u) {
			continue
		}
		data, err := yaml.Marshal(u.Object)
		if err != nil {
			return nil, fmt.Errorf("labelling %s %s: %w", u.GetKind(), u.GetName(), err)
		}
		out.WriteString("---\n")
		out.Write(data)
	}
	return &out, nil
}

// decode reads a stream of YAML documents, without the empty ones.
func decode(stream io.Reader) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	decoder := utilyaml.NewYAMLToJSONDecoder(stream)
	for {
		u := &unstructured.Unstructured{}
		var document json.RawMessage
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		// This one keeps whole numbers whole; the standard library makes floats of them.
		if err := utiljson.Unmarshal(document, &u.Object); err != nil {
			return nil, err
		}
		if len(u.Object) > 0 {
			objects = append(objects, u)
		}
	}
}
