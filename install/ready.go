// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"fmt"
	"time"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/poll"
)

const (
	// readyWithin bounds each wait for a workload; a cold node pulls images meanwhile.
	readyWithin = 5 * time.Minute
	// lookEvery is the time between two looks while waiting.
	lookEvery = 300 * time.Millisecond
)

// Workload names a Deployment or DaemonSet that must be ready.
type Workload struct {
	// Kind is Deployment or DaemonSet.
	Kind string
	// Name of the object.
	Name string
}

func (w Workload) state(ctx context.Context, c *kube.Client, namespace string) (bool, string, error) {
	switch w.Kind {
	case "Deployment":
		return c.DeploymentState(ctx, namespace, w.Name)
	case "DaemonSet":
		return c.DaemonSetState(ctx, namespace, w.Name)
	}
	return false, "", poll.Stop(fmt.Errorf("waiting for a %s is not built", w.Kind))
}

// lookReady says update when a workload is not ready, with the reason that its pods give.
func lookReady(ctx context.Context, c *kube.Client, namespace string, workloads []Workload) (graph.Change, error) {
	for _, w := range workloads {
		ready, state, err := w.state(ctx, c, namespace)
		if err != nil {
			return graph.Change{}, err
		}
		if !ready {
			return graph.Change{Action: graph.Update, Reason: fmt.Sprintf("%s %s", w.Name, state)}, nil
		}
	}
	return graph.Change{Action: graph.None}, nil
}

// waitReady blocks until all workloads are ready.
func waitReady(ctx context.Context, c *kube.Client, namespace string, workloads []Workload) error {
	for _, w := range workloads {
		err := until(ctx, c, fmt.Sprintf("%s %s", w.Kind, w.Name), func(ctx context.Context) (bool, string, error) {
			ready, state, err := w.state(ctx, c, namespace)
			return ready, w.Name + " " + state, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// until waits for look, reports every state that it sees, and names the cluster in its
// error.
func until(ctx context.Context, c *kube.Client, what string, look func(context.Context) (bool, string, error)) error {
	return poll.Until(ctx, poll.Options{
		What: what + " in " + c.Cluster, Interval: lookEvery, Deadline: readyWithin,
		Observe: func(state string) { graph.State(ctx, "%s", state) },
	}, look)
}
