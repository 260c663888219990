// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package support

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/istiod"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

const (
	// maxObjects of a kind are listed.
	maxObjects = 2000
	// logLines and logBytes bound the log of one container.
	logLines = int64(2000)
	logBytes = int64(1 << 20)
	// adminPort is that of Envoy's admin interface in Istio's proxies (meshConfig.defaultConfig.proxyAdminPort).
	adminPort = 15000
	// proxyContainer is the name that Istio gives to proxies: a gateway is nothing else.
	proxyContainer = "istio-proxy"
	// gatewayLabel is on the pods of gateways as Istio's charts make them, wherever they are.
	gatewayLabel = "istio"
)

// look is one thing that is looked at in a cluster. It reads a file without a path, or one without
// data when there is nothing of the kind.
type look struct {
	path string
	read func(context.Context, *kube.Client) (File, error)
}

// listing is a kind of which all objects go in, those of one namespace or of all.
type listing struct {
	group, version, kind, namespace string
}

// listings is everything that says how a mesh is meant to be. No kind is here whose objects are secret;
// Secrets themselves are in secretNames.
var listings = []listing{
	{"", "v1", "Node", ""}, {"", "v1", "Namespace", ""}, {"", "v1", "Service", ""}, {"discovery.k8s.io", "v1", "EndpointSlice", ""},
	{"", "v1", "Pod", topology.SystemNamespace}, {"", "v1", "Event", topology.SystemNamespace}, {"apps", "v1", "Deployment", topology.SystemNamespace},
	{"", "v1", "ConfigMap", topology.SystemNamespace},
	{"admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration", ""}, {"admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration", ""},
	{"networking.istio.io", "v1", "Gateway", ""}, {"networking.istio.io", "v1", "VirtualService", ""}, {"networking.istio.io", "v1", "DestinationRule", ""},
	{"networking.istio.io", "v1", "ServiceEntry", ""}, {"networking.istio.io", "v1", "WorkloadEntry", ""}, {"networking.istio.io", "v1", "Sidecar", ""},
	{"networking.istio.io", "v1alpha3", "EnvoyFilter", ""},
	{"security.istio.io", "v1", "PeerAuthentication", ""}, {"security.istio.io", "v1", "AuthorizationPolicy", ""}, {"security.istio.io", "v1", "RequestAuthentication", ""},
	{"telemetry.istio.io", "v1", "Telemetry", ""},
	{"gateway.networking.k8s.io", "v1", "Gateway", ""}, {"gateway.networking.k8s.io", "v1", "HTTPRoute", ""},
	{"metallb.io", "v1beta1", "IPAddressPool", topology.MetalLBNamespace}, {"metallb.io", "v1beta1", "L2Advertisement", topology.MetalLBNamespace},
	{"", "v1", "Pod", topology.MetalLBNamespace}, {"", "v1", "Event", topology.MetalLBNamespace},
}

// istiodPages are debug pages of every istiod: what it pushed to whom, which clusters it reads, its mesh
// configuration, its metrics. See Istio's pilot/pkg/xds/debug.go.
var istiodPages = []string{"/debug/syncz", "/debug/clusterz", "/debug/mesh", "/metrics"}

// envoyPages are those of the admin interface of every gateway; Envoy itself leaves private keys out of
// its dump. See https://www.envoyproxy.io/docs/envoy/latest/operations/admin.
var envoyPages = []string{"/config_dump?include_eds", "/clusters?format=json", "/certs", "/server_info", "/stats?usedonly"}

// looks lists everything that is looked at in a cluster, which depends on the pods that there are; what can
// not be listed is told to miss.
func looks(ctx context.Context, c *kube.Client, miss func(what string, err error)) []look {
	all := []look{{"secrets.json", secretNames}}
	for _, l := range listings {
		all = append(all, look{path.Join("objects", l.namespace, strings.ToLower(l.kind)+dotted(l.group)+".json"), l.read})
	}
	seen := map[client.ObjectKey]bool{}
	for what, selected := range map[string][]client.ListOption{
		"pods of " + topology.SystemNamespace:  {client.InNamespace(topology.SystemNamespace)},
		"pods of " + topology.MetalLBNamespace: {client.InNamespace(topology.MetalLBNamespace)},
		"gateways of other namespaces":         {client.HasLabels{gatewayLabel}},
	} {
		var pods corev1.PodList
		if err := c.List(ctx, &pods, selected...); err != nil {
			miss(what, c.Explain(err, "listing pods"))
			continue
		}
		for i := range pods.Items {
			if key := client.ObjectKeyFromObject(&pods.Items[i]); !seen[key] {
				seen[key] = true
				all = append(all, podLooks(&pods.Items[i])...)
			}
		}
	}
	return all
}

func dotted(group string) string {
	if group == "" {
		return ""
	}
	return "." + group
}

// podLooks are the logs of a pod, and what the programs in it say of themselves.
func podLooks(pod *corev1.Pod) []look {
	var all []look
	for _, s := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		name := path.Join("logs", pod.Namespace, pod.Name, s.Name)
		all = append(all, look{name + ".log", logOf(pod, s.Name, false)})
		if s.RestartCount > 0 {
			all = append(all, look{name + ".previous.log", logOf(pod, s.Name, true)})
		}
	}
	switch {
	case pod.Status.Phase != corev1.PodRunning:
	case pod.Labels["app"] == "istiod":
		all = append(all, pages(pod, istiod.DebugPort, istiodPages)...)
	case len(pod.Spec.Containers) == 1 && pod.Spec.Containers[0].Name == proxyContainer:
		all = append(all, pages(pod, adminPort, envoyPages)...)
	}
	return all
}

// pages are looks at pages that a pod serves.
func pages(pod *corev1.Pod, port int, names []string) []look {
	var all []look
	for _, page := range names {
		bare, _, _ := strings.Cut(strings.TrimPrefix(page, "/"), "?")
		form := ".txt"
		if !strings.HasPrefix(bare, "metrics") && !strings.HasPrefix(bare, "stats") {
			form = ".json"
		}
		name := path.Join("pods", pod.Namespace, pod.Name, strings.ReplaceAll(bare, "/", "-")+form)
		all = append(all, look{name, func(ctx context.Context, c *kube.Client) (File, error) {
			data, err := c.PodHTTP(ctx, pod.Namespace, pod.Name, port, http.MethodGet, page, nil)
			return File{data: data}, err
		}})
	}
	return all
}

func logOf(pod *corev1.Pod, container string, previous bool) func(context.Context, *kube.Client) (File, error) {
	return func(ctx context.Context, c *kube.Client) (File, error) {
		lines, most := logLines, logBytes
		stream, err := c.Clientset.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{
			Container: container, Previous: previous, Timestamps: true, TailLines: &lines, LimitBytes: &most,
		}).Stream(ctx)
		if err != nil {
			return File{}, c.Explain(err, "reading the log of "+pod.Name)
		}
		defer func() { _ = stream.Close() }()
		data, err := io.ReadAll(stream)
		if err != nil {
			return File{}, c.Explain(err, "reading the log of "+pod.Name)
		}
		return File{data: data, Cut: fmt.Sprintf("the last %d lines, %d KiB at most", logLines, logBytes>>10)}, nil
	}
}

// read lists the objects of a kind. A kind that the cluster does not have is no file.
func (l listing) read(ctx context.Context, c *kube.Client) (File, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Group: l.group, Version: l.version, Kind: l.kind + "List"})
	err := c.List(ctx, list, client.InNamespace(l.namespace), client.Limit(maxObjects))
	if kube.Absent(err) {
		return File{}, nil
	}
	if err != nil {
		return File{}, c.Explain(err, "listing objects of kind "+l.kind)
	}
	for i := range list.Items {
		strip(list.Items[i].Object)
	}
	f := File{}
	if list.GetContinue() != "" {
		f.Cut = fmt.Sprintf("the first %d objects", len(list.Items))
	}
	f.data, err = json.MarshalIndent(list, "", "  ")
	return f, err
}

// secretNames lists the Secrets of istio-system by their metadata: the API server is not asked for what
// is in them.
func secretNames(ctx context.Context, c *kube.Client) (File, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "SecretList"})
	if err := c.List(ctx, list, client.InNamespace(topology.SystemNamespace), client.Limit(maxObjects)); err != nil {
		return File{}, c.Explain(err, "listing the names of Secrets")
	}
	for i := range list.Items {
		list.Items[i].ManagedFields = nil
		delete(list.Items[i].Annotations, corev1.LastAppliedConfigAnnotation)
	}
	data, err := json.MarshalIndent(list, "", "  ")
	return File{data: data}, err
}
