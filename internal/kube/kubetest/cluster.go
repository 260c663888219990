// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kubetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	clientgofake "k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/meshfed/meshfed/internal/kube"
)

// Cluster is a cluster in memory. Its Client is what the code under test gets.
type Cluster struct {
	// Client is the fake as a *kube.Client; its REST has only a host name, its Clientset is
	// empty and apart from the store of Client, but that it discovers the kinds of core.
	*kube.Client

	scheme *runtime.Scheme
	mu     sync.Mutex
	faults []fault
	writes []string
	admit  func(obj client.Object) error
	lost   map[string]error
	silent string
	log    string
	token  func(ctx context.Context, account client.Object, request client.Object) error
}

type fault struct {
	verb, kind, name string
	err              error
	left             int
}

// New makes a cluster that holds objs.
func New(t testing.TB, name string, objs ...client.Object) *Cluster {
	t.Helper()
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{scheme: scheme, lost: map[string]error{}}
	store := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objs...).
		WithReturnManagedFields().WithInterceptorFuncs(c.funcs()).Build()
	c.Client = &kube.Client{
		Cluster:   name,
		Client:    store,
		Clientset: discovering{Interface: clientgofake.NewClientset(), cluster: c},
		REST:      &rest.Config{Host: "https://" + name + ".example:6443"},
	}
	return c
}

// Fail makes calls fail with err: verb is get, list, create, update, patch, apply, delete or
// token, kind and name are those of the object, and "" stands for any. It holds for the next
// times calls that match, or for ever when times is 0.
func (c *Cluster) Fail(verb, kind, name string, err error, times int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if times == 0 {
		times = -1
	}
	c.faults = append(c.faults, fault{verb, kind, name, err, times})
}

// Unheard makes the next creation of an object of a kind succeed, and its answer get lost: err is
// all that the caller gets.
func (c *Cluster) Unheard(kind string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost[kind] = err
}

// Heal forgets all faults.
func (c *Cluster) Heal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = nil
}

// Writes lists what was written so far, "apply Secret istio-system/cacerts", failed tries
// included.
func (c *Cluster) Writes() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.writes)
}

// Tokens answers token requests in place of the fake's own fixed answer.
func (c *Cluster) Tokens(answer func(ctx context.Context, account, request client.Object) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token = answer
}

// unheard is why an object that was made is not known to be, as over a network: the caller is
// gone, or the answer is.
func (c *Cluster) unheard(ctx context.Context, obj client.Object) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	kind := c.kind(obj)
	err := c.lost[kind]
	delete(c.lost, kind)
	return errors.Join(err, ctx.Err())
}

// Admit stands for admission: it may change or reject what is created.
func (c *Cluster) Admit(admit func(obj client.Object) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.admit = admit
}

// before records a write and returns the fault that a call meets.
func (c *Cluster) before(verb string, kind, ns, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if verb != "get" && verb != "list" {
		c.writes = append(c.writes, fmt.Sprintf("%s %s %s/%s", verb, kind, ns, name))
	}
	for i := range c.faults {
		f := &c.faults[i]
		if f.left == 0 || !matches(f.verb, verb) || !matches(f.kind, kind) || !matches(f.name, name) {
			continue
		}
		f.left--
		return f.err
	}
	return nil
}

func matches(want, got string) bool { return want == "" || want == got }

func (c *Cluster) object(verb string, obj client.Object, key client.ObjectKey) error {
	return c.before(verb, c.kind(obj), key.Namespace, key.Name)
}

func (c *Cluster) kind(obj runtime.Object) string {
	if gvk, err := apiutil.GVKForObject(obj, c.scheme); err == nil {
		return gvk.Kind
	}
	return fmt.Sprintf("%T", obj)
}

// applied is what can be told of an apply configuration.
type applied interface {
	GetKind() string
	GetNamespace() string
	GetName() string
}

func (c *Cluster) funcs() interceptor.Funcs {
	return interceptor.Funcs{
		Get: func(ctx context.Context, next client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			if err := c.object("get", obj, key); err != nil {
				return err
			}
			return next.Get(ctx, key, obj, opts...)
		},
		List: func(ctx context.Context, next client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if err := c.before("list", c.kind(list), "", ""); err != nil {
				return err
			}
			return next.List(ctx, list, opts...)
		},
		Create: func(ctx context.Context, next client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			if err := c.object("create", obj, client.ObjectKeyFromObject(obj)); err != nil {
				return err
			}
			c.mu.Lock()
			admit := c.admit
			c.mu.Unlock()
			if admit != nil {
				if err := admit(obj); err != nil {
					return err
				}
			}
			if err := next.Create(ctx, obj, opts...); err != nil {
				return err
			}
			return c.unheard(ctx, obj)
		},
		Delete: func(ctx context.Context, next client.WithWatch, obj client.Object, opts ...client.DeleteOption) error {
			if err := c.object("delete", obj, client.ObjectKeyFromObject(obj)); err != nil {
				return err
			}
			return next.Delete(ctx, obj, opts...)
		},
		Update: func(ctx context.Context, next client.WithWatch, obj client.Object, opts ...client.UpdateOption) error {
			if err := c.object("update", obj, client.ObjectKeyFromObject(obj)); err != nil {
				return err
			}
			return next.Update(ctx, obj, opts...)
		},
		Patch: func(ctx context.Context, next client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
			if err := c.object("patch", obj, client.ObjectKeyFromObject(obj)); err != nil {
				return err
			}
			return next.Patch(ctx, obj, patch, opts...)
		},
		Apply:             c.apply,
		SubResourceCreate: c.subResource,
	}
}

func (c *Cluster) apply(ctx context.Context, next client.WithWatch, obj runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
	if a, ok := obj.(applied); ok {
		if err := c.before("apply", a.GetKind(), a.GetNamespace(), a.GetName()); err != nil {
			return err
		}
	}
	return next.Apply(ctx, obj, opts...)
}

func (c *Cluster) subResource(ctx context.Context, next client.Client, name string, obj, sub client.Object, opts ...client.SubResourceCreateOption) error {
	if err := c.object(name, obj, client.ObjectKeyFromObject(obj)); err != nil {
		return err
	}
	c.mu.Lock()
	answer := c.token
	c.mu.Unlock()
	if name == "token" && answer != nil {
		return answer(ctx, obj, sub)
	}
	return next.SubResource(name).Create(ctx, obj, sub, opts...)
}
