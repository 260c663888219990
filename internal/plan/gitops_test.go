// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/internal/state"
	"github.com/meshfed/meshfed/topology"
)

// Fields that the examples use, as the controllers' definitions have them. Sources:
// https://argo-cd.readthedocs.io/en/stable/operator-manual/applicationset/ and
// https://argo-cd.readthedocs.io/en/stable/user-guide/application-specification/,
// https://fluxcd.io/flux/components/kustomize/kustomizations/ and
// https://fluxcd.io/flux/components/source/gitrepositories/.
type head struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
}

type applicationSet struct {
	head
	Spec struct {
		GoTemplate        bool     `json:"goTemplate"`
		GoTemplateOptions []string `json:"goTemplateOptions"`
		Generators        []struct {
			List struct {
				Elements []map[string]string `json:"elements"`
			} `json:"list"`
		} `json:"generators"`
		Template struct {
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
			Spec struct {
				Project string `json:"project"`
				Source  struct {
					RepoURL        string `json:"repoURL"`
					TargetRevision string `json:"targetRevision"`
					Path           string `json:"path"`
				} `json:"source"`
				Destination struct {
					Name string `json:"name"`
				} `json:"destination"`
				SyncPolicy struct {
					Automated struct {
						Prune    bool `json:"prune"`
						SelfHeal bool `json:"selfHeal"`
					} `json:"automated"`
					SyncOptions []string `json:"syncOptions"`
					Retry       struct {
						Limit   int `json:"limit"`
						Backoff struct {
							Duration    string `json:"duration"`
							Factor      int    `json:"factor"`
							MaxDuration string `json:"maxDuration"`
						} `json:"backoff"`
					} `json:"retry"`
				} `json:"syncPolicy"`
				IgnoreDifferences []struct {
					Group             string   `json:"group"`
					Kind              string   `json:"kind"`
					JQPathExpressions []string `json:"jqPathExpressions"`
				} `json:"ignoreDifferences"`
			} `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
}

type named struct {
	Name string `json:"name"`
}

type fluxKustomization struct {
	head
	Spec struct {
		DependsOn []named `json:"dependsOn"`
		SourceRef struct {
			Kind string `json:"kind"`
			Name string `json:"name"`
		} `json:"sourceRef"`
		Path          string `json:"path"`
		Interval      string `json:"interval"`
		RetryInterval string `json:"retryInterval"`
		Timeout       string `json:"timeout"`
		Prune         bool   `json:"prune"`
		Wait          bool   `json:"wait"`
		KubeConfig    struct {
			SecretRef named `json:"secretRef"`
		} `json:"kubeConfig"`
	} `json:"spec"`
}

type gitRepository struct {
	head
	Spec struct {
		URL string `json:"url"`
		Ref struct {
			Branch string `json:"branch"`
		} `json:"ref"`
		Interval string `json:"interval"`
	} `json:"spec"`
}

func gitopsFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("../../examples/gitops/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func strictly(t *testing.T, data []byte, into any) {
	t.Helper()
	if err := yaml.UnmarshalStrict(data, into); err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
}

// TestGitOpsArgoCD: the ApplicationSet has no field that there is not, and leads to every
// cluster's folder.
func TestGitOpsArgoCD(t *testing.T) {
	t.Parallel()
	var set applicationSet
	strictly(t, gitopsFile(t, "argocd/applicationset.yaml"), &set)
	if set.APIVersion != "argoproj.io/v1alpha1" || set.Kind != "ApplicationSet" {
		t.Errorf("%s %s", set.APIVersion, set.Kind)
	}
	_, files := renderedExample(t, twoClusters)
	clusters := 0
	for _, f := range files {
		if strings.HasSuffix(f.Path, kustomization) {
			clusters++
		}
	}
	elements := set.Spec.Generators[0].List.Elements
	if len(elements) != clusters {
		t.Errorf("%d elements, %d clusters", len(elements), clusters)
	}
	for _, element := range elements {
		path := strings.ReplaceAll(set.Spec.Template.Spec.Source.Path, "{{.cluster}}", element["cluster"])
		found := false
		for _, f := range files {
			found = found || "manifests/"+f.Path == path+"/"+kustomization
		}
		if !found {
			t.Errorf("%s has no %s", path, kustomization)
		}
	}
	for _, option := range []string{"ServerSideApply=true", "SkipDryRunOnMissingResource=true", "RespectIgnoreDifferences=true"} {
		if !slices.Contains(set.Spec.Template.Spec.SyncPolicy.SyncOptions, option) {
			t.Errorf("without %s it does not work", option)
		}
	}
}

// TestGitOpsFlux: the Kustomizations lead to every stage of every cluster, each after the one
// before, and to the source that there is.
func TestGitOpsFlux(t *testing.T) {
	t.Parallel()
	var source gitRepository
	strictly(t, gitopsFile(t, "flux/source.yaml"), &source)
	if source.APIVersion != "source.toolkit.fluxcd.io/v1" || source.Kind != "GitRepository" {
		t.Errorf("%s %s", source.APIVersion, source.Kind)
	}
	r, _ := renderedExample(t, twoClusters)
	for _, name := range []string{"west", "east"} {
		var paths []string
		before := ""
		for _, document := range bytes.Split(gitopsFile(t, "flux/"+name+".yaml"), []byte("\n---\n")) {
			var k fluxKustomization
			strictly(t, document, &k)
			if k.APIVersion != "kustomize.toolkit.fluxcd.io/v1" || k.Kind != "Kustomization" || k.Spec.SourceRef.Kind != source.Kind || k.Spec.SourceRef.Name != source.Metadata.Name {
				t.Errorf("%s: %s %s from %+v", k.Metadata.Name, k.APIVersion, k.Kind, k.Spec.SourceRef)
			}
			if !k.Spec.Wait || k.Spec.Interval == "" || k.Metadata.Namespace != source.Metadata.Namespace {
				t.Errorf("%s does not wait, or is elsewhere: %+v", k.Metadata.Name, k)
			}
			if depends := k.Spec.DependsOn; before != "" && (len(depends) != 1 || depends[0].Name != before) || before == "" && len(depends) > 0 {
				t.Errorf("%s depends on %v, not on %s", k.Metadata.Name, depends, before)
			}
			if definitions := strings.HasSuffix(k.Spec.Path, stageDefinitions); definitions == k.Spec.Prune {
				t.Errorf("%s: prune %t", k.Metadata.Name, k.Spec.Prune)
			}
			before = k.Metadata.Name
			paths = append(paths, strings.TrimPrefix(k.Spec.Path, "./manifests/"+name+"/"))
		}
		if !slices.Equal(paths, r.stages(name)) {
			t.Errorf("%s: stages %v, rendered are %v", name, paths, r.stages(name))
		}
	}
}

// besideGitOps is the mesh of the file in docs/gitops.md, and its clusters with what is rendered
// for them, applied by kubectl.
func besideGitOps(t *testing.T) (*Mesh, map[string]*kubetest.Cluster) {
	t.Helper()
	doc, err := os.ReadFile("../../docs/gitops.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(doc), "## Remote secrets beside what is rendered")
	_, block, _ := strings.Cut(section, "```yaml\n")
	block, _, _ = strings.Cut(block, "```")
	dir := t.TempDir()
	kubeconfig := "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: 'https://192.0.2.1:6443'}}]\nusers: [{name: u, user: {}}]\n" +
		"contexts: [{name: west, context: {cluster: c, user: u}}, {name: east, context: {cluster: c, user: u}}]\n"
	for name, text := range map[string]string{"topology.yaml": block, "kubeconfig": kubeconfig} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "topology.yaml")
	var all []string // as the document says
	for _, name := range []string{"west", "east"} {
		for _, layer := range []string{"istio", "gateways", "cacerts"} {
			all = append(all, "spec.clusters["+name+"].manage."+layer+"=true")
		}
	}
	whole, err := topology.Load(file, all...)
	if err != nil {
		t.Fatal(err)
	}
	tp, err := topology.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	st, err := state.Open(t.TempDir(), tp.Metadata.Name)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Render(t.Context(), &Mesh{Topology: whole, State: st})
	if err != nil {
		t.Fatal(err)
	}
	m := &Mesh{Topology: tp, State: st, Owner: "0123456789abcdef", Pull: true}
	clusters := map[string]*kubetest.Cluster{}
	for _, name := range tp.Names() {
		c := kubetest.New(t, name, lived(name), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"},
			Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}})
		for _, f := range r.Manifests {
			for _, u := range f.Objects {
				if f.Cluster != name {
					continue
				}
				u = u.DeepCopy()
				if u.GetKind() == "CustomResourceDefinition" {
					delete(u.Object, "spec") // a megabyte that nobody reads here
				}
				if err := c.Client.Client.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(u), client.FieldOwner("kubectl")); err != nil {
					t.Fatalf("%s %s: %v", u.GetKind(), u.GetName(), err)
				}
			}
		}
		clusters[name] = c
	}
	return m.with(clusters["west"], clusters["east"]), clusters
}

// runRendered stands in for the controllers that bring up what was applied.
func runRendered(t *testing.T, root *certs.Root, name, peer string, c *kubetest.Cluster) {
	t.Helper()
	ctx := t.Context()
	ca, err := root.NewCACerts(certs.Options{CommonName: name, Lifetime: 24 * time.Hour, Now: now()})
	if err != nil {
		t.Fatal(err)
	}
	for _, obj := range []client.Object{
		&corev1.Secret{ObjectMeta: theirs(topology.CACertsSecret, nil), Data: ca.Data()},
		&corev1.ConfigMap{ObjectMeta: theirs(topology.RootCertConfigMap, nil), Data: map[string]string{"root-cert.pem": string(certs.EncodeCertificates(root.Certificate))}},
		readyPod("istiod-1", map[string]string{"app": "istiod"}), readyPod("ew-1", map[string]string{"istio": topology.EastWestSelector}),
		readyPod("in-1", map[string]string{"istio": topology.IngressSelector}),
	} {
		if err := c.Create(ctx, obj); err != nil {
			t.Fatal(err)
		}
	}
	var istiod appsv1.Deployment
	if err := c.Get(ctx, client.ObjectKey{Namespace: topology.SystemNamespace, Name: "istiod"}, &istiod); err != nil {
		t.Fatal(err)
	}
	istiod.Status = appsv1.DeploymentStatus{Replicas: 1, ReadyReplicas: 1, UpdatedReplicas: 1, AvailableReplicas: 1}
	if err := c.Status().Update(ctx, &istiod); err != nil {
		t.Fatal(err)
	}
	for _, gateway := range []string{topology.EastWestGateway, topology.IngressGateway} {
		patch := client.RawPatch(types.MergePatchType, []byte(`{"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.7"}]}}}`))
		if err := c.Status().Patch(ctx, &corev1.Service{ObjectMeta: theirs(gateway, nil)}, patch); err != nil {
			t.Fatal(err)
		}
	}
	var hook admissionv1.MutatingWebhookConfiguration
	if err := c.Get(ctx, client.ObjectKey{Name: "istio-sidecar-injector"}, &hook); err != nil {
		t.Fatal(err)
	}
	for i := range hook.Webhooks {
		hook.Webhooks[i].ClientConfig.CABundle = certs.EncodeCertificates(root.Certificate)
	}
	if err := c.Update(ctx, &hook); err != nil {
		t.Fatal(err)
	}
	c.Forwards(t, map[string]http.Handler{"istio-system/istiod-1:15014": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, fmt.Sprintf(`[{"id": %q, "syncStatus": "synced"}, {"id": %q, "secretName": "istio-system/istio-remote-secret-%s", "syncStatus": "synced"}]`, name, peer, peer))
	})})
}

// asksHelm are steps that ask Helm, which asks a real API server.
func asksHelm(id string) bool {
	kind, _, _ := strings.Cut(id, "@")
	return slices.Contains([]string{"loadbalancer", "eastwest", "ingress", "istiod", "istio-base"}, kind)
}

// TestGitOpsRemoteSecrets holds what docs/gitops.md says of `up` beside GitOps against the rendered
// manifests: the file loads, the checks accept what is there, nothing but credentials and the note
// of whose cluster it is would be written, and `down` finds nothing to take away.
func TestGitOpsRemoteSecrets(t *testing.T) {
	t.Parallel()
	m, clusters := besideGitOps(t)
	root, err := certs.NewRoot(certs.Options{CommonName: "root.x", Lifetime: 48 * time.Hour, Now: now()})
	if err != nil {
		t.Fatal(err)
	}
	runRendered(t, root, "west", "east", clusters["west"])
	runRendered(t, root, "east", "west", clusters["east"])
	written := map[string]int{}
	for name, c := range clusters {
		written[name] = len(c.Writes())
		found, err := install.Describe(t.Context(), name, c.Client)
		if problems := append(found.Fits(m.Topology, m.Owner), m.missing(t.Context(), name, c.Client)...); err != nil || len(problems) > 0 {
			t.Errorf("%s: %v, %v", name, err, problems)
		}
	}
	steps := slices.DeleteFunc(Up(m), func(s graph.Step) bool {
		return strings.HasPrefix(s.ID, "loadbalancer@") || strings.HasPrefix(s.ID, "remote-secret@") // ask Helm, and try a token
	})
	for _, s := range steps {
		change, err := s.Look(t.Context())
		if err != nil || change.Needed() != strings.HasPrefix(s.ID, "owner@") {
			t.Errorf("%s: %+v, %v", s.ID, change, err)
		}
	}
	down, err := Down(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range down {
		if asksHelm(s.ID) {
			continue
		}
		if change, err := s.Look(t.Context()); err != nil || change.Needed() {
			t.Errorf("down: %s: %+v, %v", s.ID, change, err)
		}
	}
	for name, c := range clusters {
		if w := c.Writes(); len(w) > written[name] {
			t.Errorf("%s was written: %v", name, w[written[name]:])
		}
	}
}

// TestGitOpsCACerts: an istiod that was applied waits for cacerts. They are made, nothing that
// waits for them is asked for first, and nothing of GitOps' is written.
func TestGitOpsCACerts(t *testing.T) {
	t.Parallel()
	m, clusters := besideGitOps(t)
	for i := range m.Topology.Spec.Clusters {
		m.Topology.Spec.Clusters[i].Manage.CACerts = true
	}
	c := versioned(t, clusters["west"])
	waits := readyPod("istiod-1", map[string]string{"app": "istiod"})
	waits.Status, waits.CreationTimestamp = corev1.PodStatus{Phase: corev1.PodPending}, metav1.NewTime(now().Add(-time.Hour))
	if err := c.Create(t.Context(), waits); err != nil {
		t.Fatal(err)
	}
	found, err := install.Describe(t.Context(), "west", c.Client)
	if problems := append(found.Fits(m.Topology, m.Owner), m.missing(t.Context(), "west", c.Client)...); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", err, problems)
	}
	written := len(c.Writes())
	steps := Up(m)
	for _, id := range []string{"root", "namespace@west", "cacerts@west"} {
		if err := graph.Run(t.Context(), []graph.Step{alone(stepNamed(t, steps, id))}, graph.Options{}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if w := c.Writes()[written:]; !slices.Equal(w, []string{"apply Secret istio-system/cacerts"}) {
		t.Errorf("written: %v", w)
	}
	_, err = stepNamed(t, steps, "istiod@west").Look(t.Context())
	hinted(t, err, "no replica of istiod is ready, and manage.istio is false", "let whoever owns it in west put it right")
}
