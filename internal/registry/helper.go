// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// loginError says why a login of this host can not be had. It holds no words of a helper, which
// may quote what it was given.
type loginError struct{ text, hint string }

// Error implements error.
func (e *loginError) Error() string { return e.text }

// fault says what failed when a keychain was asked for the login of a registry.
func fault(host string, err error) error {
	var known *loginError
	switch {
	case errors.As(err, &known):
		return known
	case helperOf(dockerFile(os.Getenv), host) != "":
		return helperFault(host, "failed")
	}
	return &loginError{"this host's login for it can not be read: " + brief(err.Error()), loginHint(shown(host))}
}

// helperFault names the program that keeps a registry's login.
func helperFault(host, fails string) error {
	program := helperOf(dockerFile(os.Getenv), host)
	if program == "" {
		return &loginError{"whatever keeps this host's login for it " + fails, loginHint(shown(host))}
	}
	return &loginError{"the credential helper " + program + ", which docker's configuration names for it, " + fails,
		"does `echo " + shown(host) + " | " + program + " get` answer? It may wait for a password; or take it out of credsStore and credHelpers " +
			"in docker's config.json, and then " + loginHint(shown(host))}
}

// shown is a registry as people write it.
func shown(host string) string {
	if host == name.DefaultRegistry {
		return "docker.io"
	}
	return host
}

// dockerFile is where docker keeps logins, or says which program does.
func dockerFile(getenv func(string) string) string {
	dir := getenv("DOCKER_CONFIG")
	if dir == "" {
		dir = filepath.Join(getenv("HOME"), ".docker")
	}
	return filepath.Join(dir, "config.json")
}

// helperOf is the program that keeps the login for a registry; empty when a file does.
func helperOf(file, host string) string {
	if host == name.DefaultRegistry {
		host = authn.DefaultAuthKey
	}
	var config struct {
		CredsStore  string            `json:"credsStore"`
		CredHelpers map[string]string `json:"credHelpers"`
	}
	data, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(data, &config) != nil {
		return ""
	}
	helper := config.CredsStore
	if own, ok := config.CredHelpers[host]; ok {
		helper = own
	}
	if helper == "" {
		return ""
	}
	return "docker-credential-" + helper
}
