// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/graph"
)

// Drift compares the live object with the fields that obj sets; whatever else the live
// object has (defaults, status, fields of other managers) does not count. No field and
// exists means that Apply would change nothing. Values of Secrets appear as fingerprints.
// It reads once and does not block.
func (c *Client) Drift(ctx context.Context, obj client.Object) (fields []graph.FieldChange, exists bool, err error) {
	want, err := c.wanted(obj)
	if err != nil {
		return nil, false, c.Explain(err, "preparing "+c.name(obj))
	}
	found, exists, err := c.live(ctx, want)
	if err != nil {
		return nil, false, c.Explain(err, "reading "+c.name(obj))
	}
	if !exists {
		return nil, false, nil
	}
	d := differ{
		secret:      want.GetKind() == "Secret" && want.GroupVersionKind().Group == "",
		associative: associative(want.GroupVersionKind().Group),
		documents:   want.GetKind() == "ConfigMap",
	}
	for _, key := range sortedKeys(want.Object) {
		if key == "apiVersion" || key == "kind" {
			continue
		}
		d.compare([]string{key}, want.Object[key], found.Object[key])
	}
	return d.changes, true, nil
}

// Look is Drift as a change: create when obj is absent, update with the fields that differ,
// or none.
func (c *Client) Look(ctx context.Context, obj client.Object) (graph.Change, error) {
	fields, exists, err := c.Drift(ctx, obj)
	switch {
	case err != nil:
		return graph.Change{Action: graph.Unknown}, err
	case !exists:
		return graph.Change{Action: graph.Create, Reason: c.name(obj) + " is not there"}, nil
	case len(fields) > 0:
		return graph.Change{Action: graph.Update, Reason: c.name(obj) + " differs", Fields: fields}, nil
	}
	return graph.Change{Action: graph.None}, nil
}

// associative says whether lists of maps in an API group are merged by a key on apply, so
// that further elements belong to others. In custom resources and RBAC lists are replaced
// as a whole.
func associative(group string) bool {
	switch group {
	case "", "apps", "batch", "autoscaling", "policy", "admissionregistration.k8s.io", "apiextensions.k8s.io":
		return true
	}
	return false
}

// differ collects where a wanted tree is not contained in a found one.
type differ struct {
	secret, associative, documents bool
	changes                        []graph.FieldChange
}

func (d *differ) compare(path []string, want, have any) {
	switch want := want.(type) {
	case map[string]any:
		tree, ok := have.(map[string]any)
		if !ok && have != nil {
			d.add(path, want, have)
			return
		}
		for _, key := range sortedKeys(want) {
			d.compare(append(slices.Clone(path), key), want[key], tree[key])
		}
	case []any:
		list, ok := have.([]any)
		if !ok && have != nil {
			d.add(path, want, have)
			return
		}
		d.compareLists(path, want, list)
	default:
		if d.equal(path, want, have) {
			return
		}
		w, isText := want.(string)
		h, wasText := have.(string)
		if d.documents && path[0] == "data" && isText && wasText && d.compareText(path, w, h) {
			return
		}
		d.add(path, want, have)
	}
}

func (d *differ) compareLists(path []string, want, have []any) {
	key := ""
	if d.associative {
		key = mergeKey(want, have)
	}
	switch {
	case key != "":
		for _, element := range want {
			value := element.(map[string]any)[key]
			d.compare(append(slices.Clone(path), fmt.Sprintf("[%s=%v]", key, value)), element, find(have, key, value))
		}
	case len(path) == 2 && path[0] == "metadata" && path[1] == "finalizers":
		for _, element := range want {
			if !slices.Contains(have, element) {
				d.add(path, want, have)
				return
			}
		}
	case len(want) != len(have):
		d.add(path, want, have)
	default:
		for i := range want {
			d.compare(append(slices.Clone(path), "["+strconv.Itoa(i)+"]"), want[i], have[i])
		}
	}
}

// mergeKey is the first usual key that every wanted element has, once, and every found one.
func mergeKey(want, have []any) string {
	for _, key := range []string{"name", "containerPort", "port", "mountPath", "devicePath", "topologyKey", "ip", "uid"} {
		if len(want) > 0 && distinct(want, key) && hasKey(have, key) {
			return key
		}
	}
	return ""
}

func distinct(list []any, key string) bool {
	seen := map[any]bool{}
	for _, element := range list {
		m, ok := element.(map[string]any)
		if !ok || m[key] == nil || seen[m[key]] {
			return false
		}
		seen[m[key]] = true
	}
	return true
}

func hasKey(list []any, key string) bool {
	for _, element := range list {
		if m, ok := element.(map[string]any); !ok || m[key] == nil {
			return false
		}
	}
	return true
}

func find(list []any, key string, value any) any {
	for _, element := range list {
		if m, ok := element.(map[string]any); ok && m[key] == value {
			return m
		}
	}
	return nil
}

// equal compares scalars. An empty string equals an absent one, and quantities are compared
// by what they mean, because the server writes both its own way.
func (d *differ) equal(path []string, want, have any) bool {
	if want == have || (want == "" && have == nil) {
		return true
	}
	if have == nil || fmt.Sprint(want) != fmt.Sprint(have) {
		return quantities(path) && sameQuantity(want, have)
	}
	return true
}

func quantities(path []string) bool {
	if len(path) < 2 {
		return false
	}
	switch path[len(path)-2] {
	case "requests", "limits", "hard", "capacity":
		return true
	}
	return false
}

func sameQuantity(a, b any) bool {
	x, err := resource.ParseQuantity(fmt.Sprint(a))
	if err != nil {
		return false
	}
	y, err := resource.ParseQuantity(fmt.Sprint(b))
	return err == nil && x.Cmp(y) == 0
}

func (d *differ) add(path []string, want, have any) {
	show := show
	if d.secret && (path[0] == "data" || path[0] == "stringData") {
		show = fingerprint
	}
	d.changes = append(d.changes, graph.FieldChange{
		Path: strings.ReplaceAll(strings.Join(path, "."), ".[", "["),
		Old:  show(have),
		New:  show(want),
	})
}
