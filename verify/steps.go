// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

// StepTime is how one step of the `up` that ended in this verification went.
type StepTime struct {
	// ID of the step, such as istiod@west.
	ID string `json:"id"`
	// Title says what the step makes.
	Title string `json:"title"`
	// Cluster that it belongs to; empty for those of the host and of the whole mesh.
	Cluster string `json:"cluster,omitempty"`
	// Status is changed, unchanged, failed, blocked or interrupted.
	Status string `json:"status"`
	// StartSeconds after the start of the run; 0 for a step that never started.
	StartSeconds float64 `json:"startSeconds"`
	// DurationSeconds from its start to its end; 0 for a step that never started.
	DurationSeconds float64 `json:"durationSeconds"`
}
