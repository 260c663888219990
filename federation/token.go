// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/meshfed/meshfed/topology"
)

// claims is what a service account token says of itself. Nothing here is proof: the API
// server that made the token is asked whether it holds.
type claims struct {
	// Issued and Expires are in seconds since 1970; Expires 0 means never.
	Issued  int64 `json:"iat"`
	Expires int64 `json:"exp"`
	// Subject is system:serviceaccount:<namespace>:<name>.
	Subject string `json:"sub"`
	// Kubernetes says what the token is bound to.
	Kubernetes struct {
		Secret *struct {
			Name string `json:"name"`
			UID  string `json:"uid"`
		} `json:"secret"`
	} `json:"kubernetes.io"`
}

// errNoToken says nothing of the text that is no token.
var errNoToken = errors.New("not a service account token")

// parseToken reads the claims of a JSON Web Token without checking its signature.
func parseToken(token string) (claims, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return claims{}, errNoToken
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return claims{}, errNoToken
	}
	var c claims
	if json.Unmarshal(payload, &c) != nil || c.Subject == "" {
		return claims{}, errNoToken
	}
	return c, nil
}

// expiry is when the token ends; the zero time for never.
func (c claims) expiry() time.Time {
	if c.Expires == 0 {
		return time.Time{}
	}
	return time.Unix(c.Expires, 0).UTC()
}

// stale says why the token should be renewed now: it has no end, it has ended, or less than
// a third of its life is left. "" when it is good.
func (c claims) stale(now time.Time) string {
	end := c.expiry()
	if end.IsZero() {
		return "token never expires"
	}
	left := end.Sub(now)
	switch {
	case left <= 0:
		return "token expired on " + end.Format(time.RFC3339)
	case left < end.Sub(time.Unix(c.Issued, 0))/3:
		return "token expires in " + round(left).String()
	}
	return ""
}

// TokenLife is when the token of a remote secret, or of an external istiod's kubeconfig, was granted and when it ends (zero: never),
// as the token says of itself; the Secret's own age tells nothing, because renewal keeps the
// Secret. The error never holds what was there.
func TokenLife(s *corev1.Secret) (granted, ends time.Time, err error) {
	token := string(s.Data[tokenKey])
	if s.Name != topology.IstiodKubeconfigSecret {
		have, err := parseAccess(s.Data[s.Annotations[topology.AnnotationCluster]])
		if err != nil {
			return granted, ends, err
		}
		token = have.Token
	}
	c, err := parseToken(token)
	if err != nil {
		return granted, ends, err
	}
	return time.Unix(c.Issued, 0).UTC(), c.expiry(), nil
}

// round keeps a duration readable.
func round(d time.Duration) time.Duration {
	if d > time.Hour {
		return d.Round(time.Minute)
	}
	return d.Round(time.Second)
}
