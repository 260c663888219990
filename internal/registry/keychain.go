// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/meshfed/meshfed/internal/diag"
)

// ErrNoLogin means that this host has no login for a registry.
var ErrNoLogin = errors.New("this host has no login for the registry")

// Login is the login of this host for a path of one registry, as the data of a Secret of type
// kubernetes.io/dockerconfigjson. Other logins are not in it. It is kept under the name by which
// nodes look for it: the registry's, or the part of it that the login is for. The error is an
// ErrNoLogin when there is none. It blocks for 10 s at most, and until ctx ends.
func Login(ctx context.Context, host, path string) ([]byte, error) {
	return hostLogins(answerWithin).login(ctx, host, path)
}

func (k *logins) login(ctx context.Context, host, path string) ([]byte, error) {
	target, err := newPlace(host, path)
	if err != nil {
		return nil, err
	}
	key, found, err := k.find(ctx, target)
	var auth *authn.AuthConfig
	if err == nil {
		auth, err = authn.Authorization(ctx, found)
	}
	if err != nil {
		hint := loginHint(host)
		if known := (*loginError)(nil); errors.As(err, &known) {
			hint = known.hint
		}
		return nil, diag.Hint(fmt.Errorf("reading the login for registry %s: %w", host, err), hint)
	}
	if auth.Username == "" || auth.Password == "" {
		if auth.IdentityToken != "" || auth.RegistryToken != "" {
			return nil, diag.Hint(fmt.Errorf("the login for registry %s is a token that nodes can not use: %w", host, ErrNoLogin),
				"log in with a user name and a password or an access token: "+loginHint(host))
		}
		return nil, diag.Hint(fmt.Errorf("%s: %w", host, ErrNoLogin), loginHint(host))
	}
	return secret(lookedUp(target, key), auth)
}

// lookedUp is the name of a login under which kubelet finds it for the images of a registry, or
// of a part of it. It takes a first v1 or v2 of the path for that of the registry's protocol.
func lookedUp(target place, part string) string {
	_, path, _ := strings.Cut(part, "/")
	switch first, _, _ := strings.Cut(path, "/"); {
	case path != "" && first != "v1" && first != "v2":
		return part
	case target.RegistryStr() == name.DefaultRegistry:
		return authn.DefaultAuthKey
	}
	return target.RegistryStr()
}

func secret(key string, auth *authn.AuthConfig) ([]byte, error) {
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
		kept, err := entries(file)
		if err != nil {
			return nil, err
		}
		for _, key := range names(target) {
			if found := kept[key]; found != "" {
				return decoded(file, found)
			}
		}
	}
	return authn.Anonymous, nil
}

// specific finds the login for the smallest part of a registry that target is in, and what that
// part is called. One for a whole registry is not looked for.
func specific(files []string, target authn.Resource) (string, authn.Authenticator, error) {
	for _, key := range names(target) {
		if !strings.Contains(key, "/") {
			break
		}
		for _, file := range files {
			// A file that can not be read is an error when it is needed.
			if kept, err := entries(file); err == nil && kept[key] != "" {
				found, err := decoded(file, kept[key])
				return key, found, err
			}
		}
	}
	return "", authn.Anonymous, nil
}

// entries are the logins in a file, encoded, by registry or part of one. A file that is not
// there has none.
func entries(file string) (map[string]string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, nil // podman was never used for a login here, or by someone else
	}
	var config struct {
		Auths map[string]struct {
			Auth string `json:"auth"`
		} `json:"auths"`
	}
	if json.Unmarshal(data, &config) != nil {
		return nil, &loginError{file + " is no JSON file of logins", "mend or remove it, and then docker login or podman login"}
	}
	kept := map[string]string{}
	for key, entry := range config.Auths {
		kept[key] = entry.Auth
	}
	return kept, nil
}

// names are those under which podman may have kept a login for target, the longest first.
func names(target authn.Resource) (keys []string) {
	for key := target.String(); key != "." && key != "/"; key = path.Dir(key) {
		keys = append(keys, hubName(key))
	}
	return keys
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
		return nil, &loginError{"a login in " + file + " can not be decoded", "mend or remove it, and then docker login or podman login"}
	}
	return authn.FromConfig(authn.AuthConfig{Username: user, Password: password}), nil
}
