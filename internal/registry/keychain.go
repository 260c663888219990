// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/meshfed/meshfed/internal/diag"
)

// ErrNoLogin means that this host has no login for a registry.
var ErrNoLogin = errors.New("this host has no login for the registry")

// Keychain has the logins of this host: what docker login and podman login have kept,
// credential helpers of docker included.
func Keychain() authn.Keychain {
	return authn.NewMultiKeychain(authn.DefaultKeychain, podman{files: podmanFiles(os.Getenv)})
}

// Login is the login of this host for one registry, as the data of a Secret of type
// kubernetes.io/dockerconfigjson. Logins for other registries are not in it. The error is an
// ErrNoLogin when there is none.
func Login(host string) ([]byte, error) { return login(Keychain(), host) }

func login(keys authn.Keychain, host string) ([]byte, error) {
	reg, err := name.NewRegistry(host)
	if err != nil {
		return nil, fmt.Errorf("reading the login for registry %s: %w", host, err)
	}
	found, err := keys.Resolve(reg)
	if err != nil {
		return nil, fmt.Errorf("reading the login for registry %s: %w", host, err)
	}
	auth, err := found.Authorization()
	if err != nil {
		// What a helper says may quote what it was given.
		return nil, diag.Hint(fmt.Errorf("reading the login for registry %s: the credential helper failed", host), loginHint(host))
	}
	if auth.Username == "" || auth.Password == "" {
		if auth.IdentityToken != "" || auth.RegistryToken != "" {
			return nil, diag.Hint(fmt.Errorf("the login for registry %s is a token that nodes can not use: %w", host, ErrNoLogin),
				"log in with a user name and a password or an access token: "+loginHint(host))
		}
		return nil, diag.Hint(fmt.Errorf("%s: %w", host, ErrNoLogin), loginHint(host))
	}
	key := reg.RegistryStr()
	if key == name.DefaultRegistry {
		key = authn.DefaultAuthKey
	}
	type entry struct {
		Username string `json:"username"`
		Password string `json:"password"`
		Auth     string `json:"auth"`
	}
	return json.Marshal(map[string]any{"auths": map[string]entry{key: {
		Username: auth.Username, Password: auth.Password,
		Auth: base64.StdEncoding.EncodeToString([]byte(auth.Username + ":" + auth.Password)),
	}}})
}

func loginHint(host string) string { return "docker login " + host + ", or podman login " + host }

// podman reads the files in which podman login keeps logins.
type podman struct{ files []string }

// podmanFiles are the places that containers-auth.json(5) names.
func podmanFiles(getenv func(string) string) []string {
	if file := getenv("REGISTRY_AUTH_FILE"); file != "" {
		return []string{file}
	}
	var files []string
	if dir := getenv("XDG_RUNTIME_DIR"); dir != "" {
		files = append(files, filepath.Join(dir, "containers", "auth.json"))
	} else {
		files = append(files, filepath.Join("/run/containers", strconv.Itoa(os.Getuid()), "auth.json"))
	}
	config := getenv("XDG_CONFIG_HOME")
	if config == "" {
		config = filepath.Join(getenv("HOME"), ".config")
	}
	return append(files, filepath.Join(config, "containers", "auth.json"))
}

// Resolve implements authn.Keychain: the most specific entry of the first file that has one.
func (p podman) Resolve(target authn.Resource) (authn.Authenticator, error) {
	for _, file := range p.files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // podman was never used for a login here, or by someone else
		}
		var config struct {
			Auths map[string]struct {
				Auth string `json:"auth"`
			} `json:"auths"`
		}
		if err := json.Unmarshal(data, &config); err != nil {
			return nil, fmt.Errorf("reading %s: it is no JSON file of logins", file)
		}
		for key := target.String(); key != "."; key = filepath.Dir(key) {
			if found, ok := config.Auths[hubName(key)]; ok && found.Auth != "" {
				return decoded(file, found.Auth)
			}
		}
	}
	return authn.Anonymous, nil
}

// hubName is how podman calls Docker Hub.
func hubName(key string) string {
	if rest, ok := strings.CutPrefix(key, name.DefaultRegistry); ok {
		return "docker.io" + rest
	}
	return key
}

func decoded(file, text string) (authn.Authenticator, error) {
	pair, err := base64.StdEncoding.DecodeString(text)
	user, password, ok := strings.Cut(string(pair), ":")
	if err != nil || !ok {
		return nil, fmt.Errorf("reading %s: a login in it can not be decoded", file)
	}
	return authn.FromConfig(authn.AuthConfig{Username: user, Password: password}), nil
}
