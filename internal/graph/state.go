// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"context"
	"fmt"
)

type stateKey struct{}

// State reports the state that a running step last saw ("0/1 ready: ImagePullBackOff").
// It becomes an event of the step and part of its error when its time runs out. Saying
// the same again is silent. Outside a step it does nothing.
func State(ctx context.Context, format string, args ...any) {
	if report, ok := ctx.Value(stateKey{}).(func(string)); ok {
		report(fmt.Sprintf(format, args...))
	}
}

// WithState returns a context whose State calls go to report instead. It is how a
// caller that runs a Do without a graph, such as a test, hears of its states.
func WithState(ctx context.Context, report func(state string)) context.Context {
	return context.WithValue(ctx, stateKey{}, report)
}
