// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// leaving is what becomes of a namespace that nobody asks for any more, whether the file has
// dropped it or the mesh is taken down. It goes when we made it and nothing but ours is in it. One
// that stays is no longer ours, and keeps the labels that others have set.
type leaving struct {
	namespace corev1.Namespace
	// stays is why one that we made does not go; theirs says that it was there before us.
	stays  string
	theirs bool
}

func (m Mesh) leaving(ctx context.Context, c *kube.Client, found corev1.Namespace) (l leaving, err error) {
	l = leaving{namespace: found, theirs: !owned(&found, m)}
	if !l.theirs {
		l.stays, err = m.foreign(ctx, c, found.Name)
	}
	return l, err
}

// String says what would be taken away.
func (l leaving) String() string {
	switch {
	case l.theirs:
		return "the label for injection of namespace " + l.namespace.Name
	case l.stays != "":
		return fmt.Sprintf("our labels of namespace %s, which is kept: %s", l.namespace.Name, l.stays)
	}
	return "namespace " + l.namespace.Name
}

// leave lets go of a namespace, and waits until one that goes is gone; absent is success.
func (m Mesh) leave(ctx context.Context, c *kube.Client, name string) error {
	var found corev1.Namespace
	err := c.Get(ctx, client.ObjectKey{Name: name}, &found)
	if kube.Absent(err) {
		return nil
	}
	if err != nil {
		return c.Explain(err, "reading namespace "+name)
	}
	l, err := m.leaving(ctx, c, found)
	if err != nil {
		return err
	}
	if !l.theirs && l.stays == "" {
		if err := c.Remove(ctx, &found); err != nil {
			return err
		}
		return awaitGone(ctx, c, name)
	}
	if l.theirs && !labelledByUs(&found, topology.LabelNetwork, topology.LabelInjection, topology.LabelRevision) {
		return nil
	}
	if l.stays != "" {
		m.keeps(ctx, c, "namespace %s is kept: %s", name, l.stays)
		if err := m.removeLogins(ctx, c, name); err != nil {
			return err
		}
		if err := disown(ctx, c, &found); err != nil {
			return err
		}
	}
	// An apply that sets nothing gives up what only we had set; what others set too stays.
	return c.Apply(ctx, kube.Namespace(name, nil))
}

// removeLogins removes our pull secrets from a namespace that stays: nothing of ours pulls there.
func (m Mesh) removeLogins(ctx context.Context, c *kube.Client, namespace string) error {
	var list corev1.SecretList
	if err := c.List(ctx, &list, client.InNamespace(namespace), client.MatchingLabels(m.labels())); err != nil {
		return c.Explain(err, "listing Secrets in "+namespace)
	}
	for i := range list.Items {
		if list.Items[i].Type != corev1.SecretTypeDockerConfigJson {
			continue
		}
		if err := c.Remove(ctx, &list.Items[i]); err != nil {
			return err
		}
	}
	return nil
}

// labelledByUs says whether server-side apply knows us as a manager of any of the labels.
func labelledByUs(obj client.Object, labels ...string) bool {
	for _, entry := range obj.GetManagedFields() {
		if entry.Manager != topology.FieldManager || entry.Operation != metav1.ManagedFieldsOperationApply || entry.FieldsV1 == nil {
			continue
		}
		for _, label := range labels {
			if strings.Contains(entry.FieldsV1.GetRawString(), `"f:`+label+`"`) {
				return true
			}
		}
	}
	return false
}
