// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
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
