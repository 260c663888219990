// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"strings"
	"time"
)

// Service is one of the user's own services.
type Service struct {
	// Host is name.namespace, as in checkout.shop; each once. Required.
	Host string `json:"host"`
	// Clusters that serve it, each once. Default: all with workloads.
	Clusters []string `json:"clusters,omitempty"`
	// Failover says that other clusters shall answer when the local one can not: outlier detection
	// must then reach its callers. Default: false.
	Failover bool `json:"failover,omitempty"`
	// Callers are namespace/serviceaccount. Policies must let each of them in, and the proxy of one
	// of their pods is asked what it knows of the service. Default: the proxy of verify's own caller.
	Callers []string `json:"callers,omitempty"`
	// Probe asks for bounded requests to its first HTTP port from verify's caller in each cluster.
	// Default: none; the service is only looked at.
	Probe *ServiceProbe `json:"probe,omitempty"`
}

// ServiceProbe is a bounded request load.
type ServiceProbe struct {
	// Path of the request, beginning with /. Default: /.
	Path string `json:"path"`
	// Requests to send from each cluster, 1 to 200. Default: 20.
	Requests int `json:"requests"`
}

// Verify tunes the proof.
type Verify struct {
	// Suites to run, each once: trust, discovery, weights, locality, failover, authorization, gateway,
	// dns, services.
	// Default: all that apply.
	Suites []string `json:"suites,omitempty"`
	// Proxies of each cluster that are asked for their endpoints and certificates, spread over its
	// namespaces, 1 to 1000; diagnose and --passive ask as many. Default: 20. Each costs a port-forward
	// through the API server, and a busy one passes that many on in a few seconds; what has not answered
	// after 30s is not waited for.
	Proxies int `json:"proxies"`
	// Failover holds the thresholds of the failover suite.
	Failover Failover `json:"failover"`
	// Probe is what verify sends into the mesh.
	Probe Probe `json:"probe"`
}

// Failover holds the thresholds of the failover suite.
type Failover struct {
	// Rate of requests per second and caller, 1 to 1000. Default: 20.
	Rate int `json:"rate"`
	// Within is the time to steady answers from elsewhere, 1s to 1h. Default: 10s. On a quiet machine
	// a backend is left after half a second and a gateway, whose pod takes two to end, after three;
	// the rest is for loaded ones.
	Within Duration `json:"within"`
	// LostAtMost is a count of failed requests, 0 to 100000. Default: 40. That is two seconds at the
	// default rate: five errors in a row, what waits for a backend that is gone or a connection that is
	// slow to open until the application gives up (2s), and a second try of a backend that was ejected.
	LostAtMost int `json:"lostAtMost"`
	// BackWithin is the time to steady answers as before, after repair, 1s to 1h. Default: 60s. In
	// that a pod starts on a loaded machine and an ejection, two seconds longer each time, ends.
	BackWithin Duration `json:"backWithin"`
}

// Probe is what verify sends into the mesh.
type Probe struct {
	// Namespace that nothing else uses: it is made and removed by verify. A DNS label. Default:
	// meshfed-verify.
	Namespace string `json:"namespace"`
	// Image of the probe. Default: the bundle's or, without a bundle, the published one.
	Image string `json:"image,omitempty"`
	// Tolerations of its pods, as in a pod spec.
	Tolerations []map[string]any `json:"tolerations,omitempty"`
	// Resources of its containers, as in a pod spec.
	Resources map[string]any `json:"resources,omitempty"`
}

// Duration is a time.Duration written as Go writes it, for example 720h or 10s.
type Duration time.Duration

// String writes d as Go reads it, without zero minutes and seconds: 720h, not 720h0m0s.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText is String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a duration as Go does.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}
