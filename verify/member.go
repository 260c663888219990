// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

// Ports that are looked at through the API server's port-forward.
const (
	// portEnvoy is the admin interface of every Istio proxy.
	portEnvoy = 15000
	// portIstiod serves istiod's debug pages; they answer callers from loopback.
	portIstiod = 15014
)

// maxPage bounds what is read of one answer.
const maxPage = 64 << 20

// answerWithin bounds the wait for one answer, the way to the pod included. No run of a probe that is
// waited for takes as long; a connection that is dead and does not say so must not hold a verification
// up. A watch, which waits for no run, has a bound of its own.
const answerWithin = time.Minute

// member is one cluster during a run.
type member struct {
	*session
	name      string
	client    *kube.Client
	namespace string
	// places are the localities of its nodes where it has several zones; set before any pod is
	// made.
	places []topology.Locality

	mu       sync.Mutex
	problem  string
	refused  []string
	away     bool // it did not answer when it was last looked at; a watch's alone
	claimed  bool
	claims   int // how often, so that each heartbeat ends with its own
	unheard  map[string]string
	pods     map[role]*corev1.Pod
	uids     map[string]bool
	forwards map[string]*forward
}

// errUnknownPage is the answer of a program that has no such page.
var errUnknownPage = errors.New("status 404")

// forward is a port-forward that is being opened or is open.
type forward struct {
	once   sync.Once
	open   *kube.Forward
	cancel context.CancelFunc
	http   *http.Client
	err    error
	late   bool        // who dialed had no time left; others may have
	used   atomic.Bool // since a watch last looked: see prune
}

func newMember(s *session, name string, c *kube.Client) *member {
	m := &member{session: s, name: name, client: c, namespace: s.world.Namespace,
		pods: map[role]*corev1.Pod{}, uids: map[string]bool{}, forwards: map[string]*forward{}}
	if c == nil {
		m.problem = "there is no client for " + name
	}
	return m
}

// broken notes why the probes of this cluster can not be used; the first reason stays.
func (m *member) broken(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil && m.problem == "" {
		m.problem = sentence(err)
	}
}

// why says why the probes of this cluster can not be used.
func (m *member) why() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.problem
}

// refuse notes who rejected an object that the probes may do without.
func (m *member) refuse(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.refused = append(m.refused, sentence(err))
	}
}

func (m *member) refusals() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.refused)
}

// sentence is an error with its hints in one line.
func sentence(err error) string {
	return strings.Join(append([]string{strings.ReplaceAll(err.Error(), "\n", "; ")}, diag.Hints(err)...), "; ")
}

// cast are the roles that are played in this cluster.
func (m *member) cast() []role {
	if len(m.places) == 0 {
		return m.roles
	}
	return append(slices.Clone(m.roles), roleBeyond)
}

// pod is the probe pod of a role, nil when it was not started.
func (m *member) pod(r role) *corev1.Pod {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pods[r]
}

// know remembers a probe pod as the API gave it.
func (m *member) know(pod *corev1.Pod) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pods[role(pod.Labels[labelRole])] = pod
	m.uids[string(pod.UID)] = true
}

// port opens a port-forward once and keeps it until the end of the run; one that broke is
// opened again, one that failed by the next call.
func (m *member) port(ctx context.Context, namespace, pod string, port int) (*forward, error) {
	key := fmt.Sprintf("%s/%s:%d", namespace, pod, port)
	for {
		f := m.slot(key)
		fresh := false
		f.once.Do(func() {
			f.err, fresh = f.dial(ctx, m.client, namespace, pod, port), true
		})
		if f.err == nil && !f.ended() {
			f.used.Store(true)
			return f, nil
		}
		m.mu.Lock()
		if m.forwards[key] == f {
			delete(m.forwards, key)
		}
		m.mu.Unlock()
		f.close()
		switch {
		case f.late && !fresh && ctx.Err() == nil: // it is this caller's turn to dial
		case f.err != nil:
			return nil, f.err
		case fresh:
			return nil, fmt.Errorf("the port-forward to %s ended at once", key)
		}
	}
}

// slot is the forward of a key, a new one when there is none.
func (m *member) slot(key string) *forward {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.forwards[key]
	if f == nil {
		f = &forward{}
		m.forwards[key] = f
	}
	return f
}

// dial opens the forward. It must outlive ctx, which may be that of a single look; until it
// is open, the end of ctx ends it.
func (f *forward) dial(ctx context.Context, c *kube.Client, namespace, pod string, port int) error {
	alive, end := context.WithCancelCause(context.WithoutCancel(ctx))
	cancel := func() { end(nil) }
	stop := context.AfterFunc(ctx, func() { end(context.Cause(ctx)) }) // else it says "canceled", and not why
	open, err := c.Forward(alive, namespace, pod, port)
	f.late = ctx.Err() != nil
	if err != nil {
		cancel()
		return err
	}
	if !stop() {
		f.late = true
		open.Close()
		return context.Cause(ctx)
	}
	f.open, f.cancel = open, cancel
	f.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	return nil
}

func (f *forward) ended() bool {
	select {
	case <-f.open.Done():
		return true
	default:
		return false
	}
}

// close waits for a dial that is under way.
func (f *forward) close() {
	f.once.Do(func() { f.err = errors.New("closed") })
	if f.open != nil {
		f.http.CloseIdleConnections()
		f.open.Close()
		f.cancel()
	}
}

// forget closes the forwards to a pod that is gone; to all pods when none is named.
func (m *member) forget(namespace, pod string) {
	m.mu.Lock()
	var old []*forward
	for key, f := range m.forwards {
		if pod == "" || strings.HasPrefix(key, namespace+"/"+pod+":") {
			old = append(old, f)
			delete(m.forwards, key)
		}
	}
	m.mu.Unlock()
	for _, f := range old {
		f.close()
	}
}

// page GETs a page of a pod.
func (m *member) page(ctx context.Context, namespace, pod string, port int, path string) ([]byte, error) {
	return m.send(ctx, namespace, pod, port, http.MethodGet, path, nil)
}

// send asks a pod and waits for its answer.
func (m *member) send(ctx context.Context, namespace, pod string, port int, method, path string, body []byte) ([]byte, error) {
	if why := m.blind(); why != "" {
		return nil, errors.New(why)
	}
	bounded, cancel := context.WithTimeoutCause(ctx, m.answering, lateError{m.answering, fmt.Sprintf("pod %s/%s", namespace, pod)})
	defer cancel()
	f, err := m.port(bounded, namespace, pod, port)
	if err != nil {
		m.unanswered(ctx, bounded)
		return nil, err
	}
	answer, err := f.send(bounded, method, path, body)
	if err != nil {
		m.unanswered(ctx, bounded)
	}
	return answer, err
}

// lateError is an answer that did not come within its deadline.
type lateError struct {
	within time.Duration
	from   string
}

// Error implements error.
func (e lateError) Error() string { return fmt.Sprintf("no answer of %s within %s", e.from, e.within) }

// Is says that time was up, as a plain context does.
func (lateError) Is(target error) bool { return target == context.DeadlineExceeded }

// unanswered looks, after a pod did not answer in time, whether the API server does, through which it
// is asked. In a watch a cluster where neither does is away: nothing more is asked of it in this round.
func (m *member) unanswered(ctx, bounded context.Context) {
	if m.wake == nil || ctx.Err() != nil || bounded.Err() == nil {
		return
	}
	looking, cancel := context.WithTimeout(ctx, againWithin)
	defer cancel()
	err := m.client.Get(looking, types.NamespacedName{Name: m.namespace}, &corev1.Namespace{})
	if err == nil || looking.Err() == nil || ctx.Err() != nil {
		return
	}
	m.leave(m.client.Explain(err, "looking at namespace "+m.namespace))
}

// leave notes that a cluster does not answer.
func (m *member) leave(err error) {
	m.broken(err)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = true
}

func (f *forward) send(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+f.open.Addr+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := f.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	if err != nil {
		return nil, fmt.Errorf("reading the answer to %s %s: %w", method, path, err)
	}
	if resp.StatusCode == http.StatusNotFound {
		return nil, fmt.Errorf("%s %s: %w: %s", method, path, errUnknownPage, clip(string(answer)))
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s %s: status %d: %s", method, path, resp.StatusCode, clip(string(answer)))
	}
	return answer, nil
}

// ask has the probe of a role do something and decodes what it says.
func ask[T any](ctx context.Context, m *member, r role, method, path string, request any) (T, error) {
	var answer T
	pod := m.pod(r)
	if pod == nil {
		return answer, fmt.Errorf("there is no %s in %s", r, m.name)
	}
	operation := fmt.Sprintf("asking the %s in %s", r, m.name)
	body, err := json.Marshal(request)
	if err != nil {
		return answer, fmt.Errorf("%s: %w", operation, err)
	}
	data, err := m.send(ctx, m.namespace, pod.Name, probe.PortAdmin, method, path, body)
	if errors.Is(err, errUnknownPage) {
		err = diag.Hint(errors.New("the probe is older than this program and does not know "+path), "`meshfed up` brings the one that belongs to it")
	}
	if err != nil {
		return answer, fmt.Errorf("%s: %w", operation, err)
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return answer, fmt.Errorf("%s: reading the answer to %s: %w", operation, path, err)
	}
	m.sent.Add(sentBy(answer, method, path))
	return answer, nil
}

// sentBy counts the requests into the mesh that an answer of a probe tells of. Looks at a load
// that goes on tell of the same ones again: its end counts.
func sentBy(answer any, method, path string) int64 {
	switch a := answer.(type) {
	case probe.RunReport:
		if path == "/run" || method == http.MethodDelete {
			return int64(a.Sent)
		}
	case probe.KnockReport, probe.TLSReport:
		return 1
	}
	return 0
}

// answered names the cluster of the pod that answered, by the UID that the API gave it; ""
// when the API knows no such probe pod.
func (s *session) answered(o probe.Outcome) string {
	for _, c := range s.world.Clusters {
		m := s.members[c]
		m.mu.Lock()
		known := o.UID != "" && m.uids[o.UID]
		m.mu.Unlock()
		if known {
			return c
		}
	}
	return ""
}
