// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"io"
	"log"
	"log/slog"

	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

// LogTo has the libraries that a Client is made of, and Go's own, write to w what they would write to
// stderr: client-go tells there of every port-forward that is cut, which an interrupt does to all of
// them. Their loggers are the process's: it is called once, by main, before anything else, and is not
// safe for concurrent use. w must be.
func LogTo(w io.Writer) {
	klog.SetSlogLogger(slog.New(slog.NewTextHandler(w, nil)))
	ctrllog.SetLogger(klog.Background())
	log.SetOutput(w)
}
