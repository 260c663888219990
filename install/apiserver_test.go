// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/meshfed/meshfed/internal/kube"
)

// apiServer is an API server as far as these tests ask one: it stores objects by path,
// selects by label, merges patches, and has no controllers. Lists are replaced as a whole.
type apiServer struct {
	mu      sync.Mutex
	objects map[string]map[string]any
	writes  []string       // "PATCH /path"
	refuse  map[string]int // "METHOD /path" -> status, once
	created func(path string, obj map[string]any)
	now     time.Time
}

// kinds are the resources that it serves, by group and version.
var kinds = map[string]map[string]string{
	"v1": {
		"namespaces": "Namespace", "secrets": "Secret", "configmaps": "ConfigMap", "services": "Service",
		"serviceaccounts": "ServiceAccount", "pods": "Pod", "nodes": "Node", "events": "Event",
	},
	"apps/v1":                         {"deployments": "Deployment", "daemonsets": "DaemonSet"},
	"admissionregistration.k8s.io/v1": {"mutatingwebhookconfigurations": "MutatingWebhookConfiguration", "validatingwebhookconfigurations": "ValidatingWebhookConfiguration"},
	"apiextensions.k8s.io/v1":         {"customresourcedefinitions": "CustomResourceDefinition"},
	"autoscaling/v2":                  {"horizontalpodautoscalers": "HorizontalPodAutoscaler"},
	"coordination.k8s.io/v1":          {"leases": "Lease"},
	"metallb.io/v1beta1":              {"ipaddresspools": "IPAddressPool", "l2advertisements": "L2Advertisement"},
	"networking.istio.io/v1":          {"gateways": "Gateway"},
}

func namespaceless(resource string) bool {
	return slices.Contains([]string{"namespaces", "nodes", "mutatingwebhookconfigurations", "validatingwebhookconfigurations", "customresourcedefinitions"}, resource)
}

// newAPIServer starts one and returns a client for it, under the cluster name west.
func newAPIServer(t *testing.T) (*apiServer, *kube.Client) {
	t.Helper()
	s := &apiServer{objects: map[string]map[string]any{}, refuse: map[string]int{}, now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	c, err := kube.ForConfig("west", &rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

// get returns the object at an API path, or nil.
func (s *apiServer) get(at string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects[at]
}

// put stores an object given as YAML at an API path, without counting a write.
func (s *apiServer) put(t *testing.T, at, text string) {
	t.Helper()
	obj := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &obj); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store(at, obj)
}

func (s *apiServer) writesTo(part string) (found []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, each := range s.writes {
		if strings.Contains(each, part) {
			found = append(found, each)
		}
	}
	return found
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if status := s.refuse[r.Method+" "+r.URL.Path]; status != 0 {
		delete(s.refuse, r.Method+" "+r.URL.Path)
		fail(w, status, "refused on purpose")
		return
	}
	if s.discovery(w, r.URL.Path) {
		return
	}
	if r.Method != http.MethodGet {
		s.writes = append(s.writes, r.Method+" "+r.URL.Path)
	}
	resource := path.Base(r.URL.Path)
	_, isCollection := kindOf(r.URL.Path, resource)
	switch {
	case r.Method == http.MethodGet && isCollection:
		s.list(w, r, resource)
	case r.Method == http.MethodGet:
		s.answer(w, r.URL.Path)
	case r.Method == http.MethodDelete:
		if s.objects[r.URL.Path] == nil {
			fail(w, http.StatusNotFound, "not found")
			return
		}
		delete(s.objects, r.URL.Path)
		answer(w, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Success"})
	default:
		s.write(w, r)
	}
}

func (s *apiServer) write(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(r.Body)
	sent := map[string]any{}
	if err == nil {
		sent, err = body(r.Header.Get("Content-Type"), data)
	}
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	at := strings.TrimSuffix(r.URL.Path, "/status")
	if r.Method == http.MethodPost {
		at += "/" + sent["metadata"].(map[string]any)["name"].(string)
		if s.objects[at] != nil {
			fail(w, http.StatusConflict, "exists")
			return
		}
	}
	if r.Method == http.MethodPatch {
		apply := strings.Contains(r.Header.Get("Content-Type"), "apply-patch")
		if s.objects[at] == nil && !apply {
			fail(w, http.StatusNotFound, "not found")
			return
		}
		sent = merge(s.objects[at], sent)
	}
	isNew := s.objects[at] == nil
	s.store(at, sent)
	if isNew && s.created != nil {
		s.created(at, sent)
	}
	s.answer(w, at)
}

// body reads what a client sends: JSON, YAML, or the protobuf of Kubernetes's own types.
func body(contentType string, data []byte) (map[string]any, error) {
	sent := map[string]any{}
	if !strings.Contains(contentType, "protobuf") {
		return sent, yaml.Unmarshal(data, &sent)
	}
	obj, _, err := clientgoscheme.Codecs.UniversalDeserializer().Decode(data, nil, nil)
	if err != nil {
		return nil, err
	}
	plain, err := json.Marshal(obj)
	if err != nil {
		return nil, err
	}
	return sent, json.Unmarshal(plain, &sent)
}

func (s *apiServer) store(at string, obj map[string]any) {
	collection := path.Dir(at)
	kind, _ := kindOf(collection, path.Base(collection))
	metadata, _ := obj["metadata"].(map[string]any)
	if metadata == nil {
		metadata = map[string]any{}
		obj["metadata"] = metadata
	}
	metadata["name"] = path.Base(at)
	if before, rest, ok := strings.Cut(at, "/namespaces/"); ok && strings.Contains(rest, "/") && before != "" {
		metadata["namespace"], _, _ = strings.Cut(rest, "/")
	}
	if metadata["creationTimestamp"] == nil {
		metadata["creationTimestamp"] = s.now.Format(time.RFC3339)
	}
	obj["apiVersion"], obj["kind"] = groupVersion(at), kind
	s.objects[at] = obj
}

func (s *apiServer) list(w http.ResponseWriter, r *http.Request, resource string) {
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	kind, _ := kindOf(r.URL.Path, resource)
	items := []any{}
	for _, at := range slices.Sorted(maps.Keys(s.objects)) {
		collection := path.Dir(at)
		// A list over all namespaces has none in its path.
		same := collection == r.URL.Path || (path.Base(collection) == resource && groupVersion(at) == groupVersion(r.URL.Path+"/x") && !strings.Contains(r.URL.Path, "/namespaces/"))
		found := labels.Set{}
		metadata := s.objects[at]["metadata"].(map[string]any)
		if all, ok := metadata["labels"].(map[string]any); ok {
			for key, value := range all {
				found[key] = fmt.Sprint(value)
			}
		}
		if same && selector.Matches(found) {
			items = append(items, s.objects[at])
		}
	}
	answer(w, map[string]any{"kind": kind + "List", "apiVersion": groupVersion(r.URL.Path + "/x"), "metadata": map[string]any{}, "items": items})
}

func (s *apiServer) answer(w http.ResponseWriter, at string) {
	if s.objects[at] == nil {
		fail(w, http.StatusNotFound, at+" not found")
		return
	}
	answer(w, s.objects[at])
}

func (s *apiServer) discovery(w http.ResponseWriter, at string) bool {
	switch at {
	case "/version":
		answer(w, map[string]any{"major": "1", "minor": "36", "gitVersion": "v1.36.3"})
		return true
	case "/api":
		answer(w, map[string]any{"kind": "APIVersions", "versions": []any{"v1"}})
		return true
	case "/apis":
		groups := []any{}
		for gv := range kinds {
			if group, version, ok := strings.Cut(gv, "/"); ok {
				v := map[string]any{"groupVersion": gv, "version": version}
				groups = append(groups, map[string]any{"name": group, "versions": []any{v}, "preferredVersion": v})
			}
		}
		answer(w, map[string]any{"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
		return true
	}
	gv := strings.TrimPrefix(strings.TrimPrefix(at, "/apis/"), "/api/")
	resources, ok := kinds[gv]
	if !ok {
		return false
	}
	list := []any{}
	for resource, kind := range resources {
		list = append(list, map[string]any{"name": resource, "kind": kind, "namespaced": !namespaceless(resource), "verbs": []any{"get", "list", "create", "patch", "delete"}})
	}
	answer(w, map[string]any{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": gv, "resources": list})
	return true
}

// kindOf is the kind of a resource, and whether at is a collection of it.
func kindOf(at, resource string) (string, bool) {
	kind, ok := kinds[groupVersion(at+"/x")][resource]
	if resource == "namespaces" || !ok {
		return kind, ok
	}
	return kind, strings.HasSuffix(at, "/"+resource)
}

func groupVersion(at string) string {
	parts := strings.Split(strings.TrimPrefix(at, "/"), "/")
	if parts[0] == "api" {
		return parts[1]
	}
	return parts[1] + "/" + parts[2]
}

// merge lays patch over base as a merge patch does: null deletes.
func merge(base, patch map[string]any) map[string]any {
	merged := maps.Clone(base)
	if merged == nil {
		merged = map[string]any{}
	}
	for key, value := range patch {
		under, _ := merged[key].(map[string]any)
		over, isMap := value.(map[string]any)
		switch {
		case value == nil:
			delete(merged, key)
		case isMap:
			merged[key] = merge(under, over)
		default:
			merged[key] = value
		}
	}
	return merged
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func fail(w http.ResponseWriter, status int, message string) {
	reasons := map[int]string{404: "NotFound", 409: "AlreadyExists", 403: "Forbidden"}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reasons[status], "message": message, "code": status,
	})
}
