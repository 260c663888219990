// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package registry asks image registries: whether every image is there that a mesh needs, what
// the images say of themselves, and for their content. It owns how a registry is spoken to (the
// logins of this host, TLS, bounds on time) and what its failures mean to a person: one clear
// error for a registry that hangs, refuses, wants a login, lacks an image, or lies.
//
// It refuses to choose names (internal/images), to keep content (internal/bundle), and to speak
// without TLS to a host that is neither a loopback address nor named for it. A login is sent to
// its own registry only, and is in no error.
package registry
