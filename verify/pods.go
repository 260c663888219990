// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

// Labels of probe pods.
const (
	labelRole = "meshfed.io/probe"
	// labelApp is probeApp on every probe pod.
	labelApp = "app.kubernetes.io/name"
	probeApp = "meshfed-probe"
	// prefixService and a service's name make the label by which the service selects.
	prefixService = "verify.meshfed.io/"
)

// proxyConfig is laid over the mesh's own for probe sidecars: they are short-lived, so they
// neither need many threads nor a long drain.
const proxyConfig = "concurrency: 1\nterminationDrainDuration: 1s\n"

// ndots is from how many dots on a name is asked for as it is, before the search list is tried
// (resolv.conf(5)). Kubernetes sets 5, by which NAME.NAMESPACE.svc.cluster.local, which has 4, is asked for
// three times in vain, over IPv4 and IPv6: on a loaded machine that is what a new connection takes.
const ndots = "4"

// account is the service account of a role; the pods that go away and that are in another zone
// are echoes like the others.
func account(r role) string {
	if r == roleAway || r == roleBeyond {
		return string(roleEcho)
	}
	return string(r)
}

// objects are what a cluster needs before its pods: accounts, Services and Istio's rules.
type objects struct {
	topology  *topology.Topology
	cluster   string
	namespace string
	owned     map[string]string
	image     string
	services  []service
	roles     []role
	// zone is the domain under which ingress gateways know the echoes.
	zone string
	// places are the localities of the cluster's nodes where it has several zones.
	places []topology.Locality
}

// where is the node selector of a role, in a cluster with several zones: all pods but one are
// in the first, so that what they measure does not depend on where they happen to be.
func (o objects) where(r role) map[string]string {
	if len(o.places) == 0 {
		return nil
	}
	at := o.places[0]
	if r == roleBeyond {
		at = o.places[1]
	}
	return map[string]string{topology.LabelRegion: at.Region, topology.LabelZone: at.Zone}
}

// pod is the probe pod of a role in a cluster: a bare one, so that a rejection is the answer
// to its creation and not an event of some controller.
func (o objects) pod(cluster string, r role) (*corev1.Pod, error) {
	labels := kube.Labels(o.owned, probeLabels(r))
	for _, s := range o.services {
		if slices.Contains(s.Backends[cluster], r) {
			labels[prefixService+s.Name] = "true"
		}
	}
	spec, err := o.podSpec(r)
	if err != nil {
		return nil, err
	}
	return &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: string(r), Namespace: o.namespace, Labels: labels, Annotations: map[string]string{
			"proxy.istio.io/config":                  proxyConfig,
			"sidecar.istio.io/proxyCPU":              "10m",
			"sidecar.istio.io/proxyMemory":           "40Mi",
			"sidecar.istio.io/rewriteAppHTTPProbers": "true",
			// Both containers start side by side: the probe needs no network to start.
			"sidecar.istio.io/nativeSidecar": "false",
		}},
		Spec: spec,
	}, nil
}

// probeLabels are those of the pods of a role, beside who owns them and which services select them.
func probeLabels(r role) map[string]string {
	return map[string]string{labelApp: probeApp, labelRole: string(r), "sidecar.istio.io/inject": fmt.Sprint(r != roleOutsider)}
}

// podSpec satisfies the restricted Pod Security Standard.
func (o objects) podSpec(r role) (corev1.PodSpec, error) {
	no, yes, grace, user := false, true, int64(1), int64(65532)
	container := corev1.Container{
		Name: "probe", Image: o.image, Args: []string{"serve"}, ImagePullPolicy: corev1.PullIfNotPresent,
		Env: []corev1.EnvVar{fieldEnv(probe.EnvPod, "metadata.name"), fieldEnv(probe.EnvUID, "metadata.uid")},
		Ports: []corev1.ContainerPort{
			{Name: "http", ContainerPort: probe.PortApp, Protocol: corev1.ProtocolTCP},
			{Name: "http-second", ContainerPort: probe.PortAppSecond, Protocol: corev1.ProtocolTCP},
		},
		ReadinessProbe: &corev1.Probe{
			ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt32(probe.PortApp)}},
			PeriodSeconds: 1, TimeoutSeconds: 1, FailureThreshold: 3,
		},
		Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("5m"), corev1.ResourceMemory: resource.MustParse("16Mi"),
		}},
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes,
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
	}
	spec := corev1.PodSpec{
		ServiceAccountName: account(r), AutomountServiceAccountToken: &no, EnableServiceLinks: &no, NodeSelector: o.where(r),
		TerminationGracePeriodSeconds: &grace,
		DNSConfig:                     &corev1.PodDNSConfig{Options: []corev1.PodDNSConfigOption{{Name: "ndots", Value: new(ndots)}}},
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: &yes, RunAsUser: &user, RunAsGroup: &user,
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
	}
	p := o.topology.Spec.Verify.Probe
	if len(p.Resources) > 0 {
		container.Resources = corev1.ResourceRequirements{}
		if err := convert(p.Resources, &container.Resources); err != nil {
			return spec, fmt.Errorf("reading spec.verify.probe.resources: %w", err)
		}
	}
	if err := convert(p.Tolerations, &spec.Tolerations); err != nil {
		return spec, fmt.Errorf("reading spec.verify.probe.tolerations: %w", err)
	}
	if secret := o.topology.Spec.Images.PullSecret; secret != "" {
		spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: secret}}
	}
	spec.Containers = []corev1.Container{container}
	return spec, nil
}

func fieldEnv(name, path string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
}

// convert moves what the topology holds as plain JSON into a typed field.
func convert(from, to any) error {
	data, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, to)
}
