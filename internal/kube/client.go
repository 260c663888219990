// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/kubernetes"
	_ "k8s.io/client-go/plugin/pkg/client/auth/oidc" // kubeconfigs that kubectl can use
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/flowcontrol"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/meshfed/meshfed/internal/diag"
)

const (
	// queriesPerSecond and queryBurst bound what one Client sends. client-go's defaults (5 and
	// 10) would make a plan of a dozen objects wait for itself.
	queriesPerSecond = 50
	queryBurst       = 100
	// requestTimeout bounds a single request of a Client, its answer included.
	requestTimeout = 30 * time.Second
)

// Client talks to one cluster. It is safe for concurrent use and sends nothing until asked.
type Client struct {
	// Cluster is the name in the topology; errors carry it.
	Cluster string
	// Kubeconfig and Context say where the client was loaded from; Kubeconfig is empty when
	// kubectl's own rules chose the file.
	Kubeconfig, Context string
	// REST is what other libraries (Helm) make their own clients from. It has the counting
	// transport and the rate limit of this Client, and no time-out for a whole request, so
	// that watches last.
	REST *rest.Config
	// Client reads and writes typed and unstructured objects without a cache; each request
	// ends within 30 s.
	client.Client
	// Clientset is for what Client does not have: events, token requests, /version.
	Clientset kubernetes.Interface

	requests atomic.Int64
}

// Load makes the client of a cluster from a kubeconfig file and a context in it; an empty
// kubeconfig means kubectl's own rules, an empty context the current one. It reads files
// only. A missing file is an error that wraps fs.ErrNotExist.
func Load(cluster, kubeconfig, context string) (*Client, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	raw, err := rules.Load()
	if err != nil {
		return nil, diag.Op(err, cluster, "reading kubeconfig "+describe(kubeconfig))
	}
	return fromConfig(cluster, kubeconfig, context, *raw)
}

func fromConfig(cluster, kubeconfig, context string, raw clientcmdapi.Config) (*Client, error) {
	if context == "" {
		context = raw.CurrentContext
	}
	if _, ok := raw.Contexts[context]; !ok {
		err := fmt.Errorf("kubeconfig %s has no context %q", describe(kubeconfig), context)
		return nil, diag.Op(diag.Hint(err, contextHint(raw)), cluster, "choosing a context")
	}
	cfg, err := clientcmd.NewNonInteractiveClientConfig(raw, context, &clientcmd.ConfigOverrides{}, nil).ClientConfig()
	if err != nil {
		return nil, diag.Op(err, cluster, "reading context "+context+" of kubeconfig "+describe(kubeconfig))
	}
	c, err := ForConfig(cluster, cfg)
	if err != nil {
		return nil, err
	}
	c.Kubeconfig, c.Context = kubeconfig, context
	return c, nil
}

// ForConfig makes the client of a cluster from a REST configuration, which is copied. It
// sends nothing.
func ForConfig(cluster string, cfg *rest.Config) (*Client, error) {
	c := &Client{Cluster: cluster}
	cfg = rest.CopyConfig(cfg)
	cfg.UserAgent = userAgent()
	cfg.QPS, cfg.Burst = queriesPerSecond, queryBurst
	// One limiter for everything made from this configuration, else each type has its own.
	cfg.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(cfg.QPS, cfg.Burst)
	// Warnings of the API server would otherwise be written over the progress display.
	cfg.WarningHandler = rest.NoWarnings{}
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return &counter{next: next, requests: &c.requests}
	})
	c.REST = cfg

	bounded := rest.CopyConfig(cfg)
	bounded.Timeout = requestTimeout
	httpClient, err := rest.HTTPClientFor(bounded)
	if err != nil {
		return nil, diag.Op(err, cluster, "preparing the connection to "+cfg.Host)
	}
	scheme, err := Scheme()
	if err != nil {
		return nil, diag.Op(err, cluster, "registering types")
	}
	mapper := &mapper{build: func() (meta.RESTMapper, error) { return apiutil.NewDynamicRESTMapper(bounded, httpClient) }}
	if mapper.RESTMapper, err = mapper.build(); err != nil {
		return nil, diag.Op(err, cluster, "preparing a client for "+cfg.Host)
	}
	if c.Client, err = client.New(bounded, client.Options{HTTPClient: httpClient, Scheme: scheme, Mapper: mapper}); err != nil {
		return nil, diag.Op(err, cluster, "preparing a client for "+cfg.Host)
	}
	if c.Clientset, err = kubernetes.NewForConfigAndClient(bounded, httpClient); err != nil {
		return nil, diag.Op(err, cluster, "preparing a client for "+cfg.Host)
	}
	return c, nil
}

// Requests counts the HTTP requests that c has sent to its API server so far, those of
// libraries that were given c.REST included.
func Requests(c *Client) int64 { return c.requests.Load() }

// counter counts requests on their way.
type counter struct {
	next     http.RoundTripper
	requests *atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (t *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	t.requests.Add(1)
	return t.next.RoundTrip(r)
}

// WrappedRoundTripper lets client-go find the transport underneath.
func (t *counter) WrappedRoundTripper() http.RoundTripper { return t.next }

// userAgent is "meshfed/<version>", as audit logs show it.
func userAgent() string {
	version := "devel"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = strings.Trim(info.Main.Version, "()")
	}
	return "meshfed/" + version
}

func describe(kubeconfig string) string {
	if kubeconfig == "" {
		return "(of kubectl's default place)"
	}
	return kubeconfig
}

func contextHint(raw clientcmdapi.Config) string {
	names := make([]string, 0, len(raw.Contexts))
	for name := range raw.Contexts {
		names = append(names, name)
	}
	slices.Sort(names)
	if len(names) == 0 {
		return "the file has no context at all; write one with kubectl config set-context"
	}
	return "contexts in the file: " + strings.Join(names, ", ")
}
