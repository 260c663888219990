// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"slices"
	"strings"
	"testing"
	"time"

	networkingapi "istio.io/api/networking/v1alpha3"
	typeapi "istio.io/api/type/v1beta1"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// destination is a rule "shop/web" with outlier detection for a host.
func destination(name, host string, exportTo ...string) *networkingv1.DestinationRule {
	namespace, short, _ := strings.Cut(name, "/")
	r := &networkingv1.DestinationRule{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: short}}
	r.Spec.Host, r.Spec.ExportTo = host, exportTo
	r.Spec.TrafficPolicy = &networkingapi.TrafficPolicy{OutlierDetection: &networkingapi.OutlierDetection{MaxEjectionPercent: 50}}
	return r
}

// plain is one without.
func plain(r *networkingv1.DestinationRule) *networkingv1.DestinationRule {
	r.Spec.TrafficPolicy.OutlierDetection = nil
	return r
}

// born says how many seconds after the first one it was made.
func born(r *networkingv1.DestinationRule, after int) *networkingv1.DestinationRule {
	r.CreationTimestamp = metav1.NewTime(time.Unix(int64(after), 0))
	return r
}

// TestWhichDestinationRuleReachesACaller is about a caller of web.shop in bank, unless another is named.
func TestWhichDestinationRuleReachesACaller(t *testing.T) {
	t.Parallel()
	const whole = "web.shop.svc.cluster.local"
	selecting := destination("bank/some", whole)
	selecting.Spec.WorkloadSelector = &typeapi.WorkloadSelector{MatchLabels: map[string]string{"app": "api"}}
	foreign := destination("shop/some", whole)
	foreign.Spec.WorkloadSelector = selecting.Spec.WorkloadSelector
	ported := func(number uint32, o *networkingapi.OutlierDetection) *networkingv1.DestinationRule {
		r := destination("shop/web", whole)
		r.Spec.TrafficPolicy.PortLevelSettings = []*networkingapi.TrafficPolicy_PortTrafficPolicy{{Port: &networkingapi.PortSelector{Number: number}, OutlierDetection: o}}
		return r
	}
	type rules = []*networkingv1.DestinationRule
	for name, tc := range map[string]struct {
		rules  rules
		client string
		want   truth
		words  string
	}{
		"none":                              {nil, "", no, "no DestinationRule is for it"},
		"of the service's namespace":        {rules{destination("shop/web", whole)}, "", yes, "DestinationRule shop/web"},
		"short, in the service's":           {rules{destination("shop/web", "web")}, "", yes, "DestinationRule shop/web"},
		"short, in the root":                {rules{destination("istio-system/web", "web")}, "", no, "no DestinationRule is for it"},
		"half a name is none":               {rules{destination("shop/web", "web.shop")}, "", no, "no DestinationRule is for it"},
		"another host":                      {rules{destination("shop/db", "db.shop.svc.cluster.local")}, "", no, "no DestinationRule is for it"},
		"of the root":                       {rules{destination("istio-system/all", "*.shop.svc.cluster.local")}, "", yes, "DestinationRule istio-system/all"},
		"for all hosts":                     {rules{destination("istio-system/all", "*")}, "", yes, "DestinationRule istio-system/all"},
		"of the caller's":                   {rules{destination("bank/web", whole)}, "", yes, "DestinationRule bank/web"},
		"of a third namespace":              {rules{destination("other/web", whole)}, "", no, "no DestinationRule is for it; that of other/web does not reach bank"},
		"the caller's comes first":          {rules{plain(destination("bank/web", whole)), destination("shop/web", whole)}, "", no, "DestinationRule bank/web sets none; that of shop/web does not reach bank"},
		"the caller's with a wildcard":      {rules{plain(destination("bank/all", "*.local")), destination("shop/web", whole)}, "", no, "DestinationRule bank/all sets none; that of shop/web does not reach bank"},
		"the service's before the root's":   {rules{plain(destination("shop/web", whole)), destination("istio-system/web", whole)}, "", no, "DestinationRule shop/web sets none; that of istio-system/web does not reach bank"},
		"the longest host":                  {rules{plain(destination("shop/all", "*.svc.cluster.local")), destination("shop/some", "*.shop.svc.cluster.local")}, "", yes, "DestinationRule shop/some"},
		"a whole host before the longest":   {rules{plain(destination("shop/all", "*eb.shop.svc.cluster.local")), destination("shop/web", whole)}, "", yes, "DestinationRule shop/web"},
		"private":                           {rules{destination("shop/web", whole, ".")}, "", no, "no DestinationRule is for it; that of shop/web does not reach bank"},
		"private, within":                   {rules{destination("shop/web", whole, ".")}, "shop", yes, "DestinationRule shop/web"},
		"private, by its own name":          {rules{destination("shop/web", whole, "shop")}, "", no, "no DestinationRule is for it; that of shop/web does not reach bank"},
		"private, then the root's":          {rules{destination("shop/web", whole, "."), destination("istio-system/all", "*")}, "", yes, "DestinationRule istio-system/all"},
		"for the caller":                    {rules{destination("shop/web", whole, ".", "bank")}, "", yes, "DestinationRule shop/web"},
		"for others":                        {rules{destination("shop/web", whole, "other")}, "", no, "no DestinationRule is for it; that of shop/web does not reach bank"},
		"for all":                           {rules{destination("shop/web", whole, "*")}, "", yes, "DestinationRule shop/web"},
		"the caller's, for others":          {rules{plain(destination("bank/web", whole, "other")), destination("shop/web", whole)}, "", yes, "DestinationRule shop/web"},
		"the root's own, private":           {rules{destination("istio-system/web", whole, ".")}, "istio-system", yes, "DestinationRule istio-system/web"},
		"the root's own, after the service": {rules{plain(destination("istio-system/all", "*")), destination("shop/web", whole)}, "istio-system", yes, "DestinationRule shop/web"},
		"the older of two":                  {rules{born(plain(destination("shop/a", whole)), 2), born(destination("shop/b", whole), 1)}, "", yes, "DestinationRule shop/b, shop/a"},
		"the newer of two":                  {rules{born(plain(destination("shop/a", whole)), 1), born(destination("shop/b", whole), 2)}, "", no, "DestinationRule shop/a, shop/b sets none"},
		"two for different clients":         {rules{destination("shop/a", whole, "*"), plain(destination("shop/b", whole, "bank"))}, "", perhaps, "DestinationRule shop/a, shop/b are for different clients"},
		"for some clients only":             {rules{selecting}, "", perhaps, "DestinationRule bank/some are for different clients"},
		"for some clients of the service's": {rules{foreign}, "", no, "no DestinationRule is for it; that of shop/some does not reach bank"},
		"for this port, none":               {rules{ported(80, nil)}, "", no, "DestinationRule shop/web sets none"},
		"for another port, none":            {rules{ported(81, nil)}, "", yes, "DestinationRule shop/web"},
	} {
		got, words := ejects(concerning(tc.rules, "web.shop"), "web.shop", or(tc.client, "bank"), 80)
		if got != tc.want || words != tc.words {
			t.Errorf("%s: %d, %q, want %d, %q", name, got, words, tc.want, tc.words)
		}
	}
}

func TestOutlierDetectionInAnEnvoy(t *testing.T) {
	t.Parallel()
	page := `{"configs":[{"cluster":{"name":"a","outlier_detection":{"consecutive_5xx":7}}},{"cluster":{"name":"b"}},{"cluster":{"name":"c","outlier_detection":{}}}]}`
	for name, want := range map[string]string{"a": `{"consecutive_5xx":7}`, "b": "", "c": "", "d": ""} {
		if got, err := parseOutlier([]byte(page), name); err != nil || got != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestWhoKnowsAnExportedService(t *testing.T) {
	t.Parallel()
	for to, want := range map[string]bool{"": true, "*": true, ".": false, "bank": true, "shop": false, "~": false, ". bank": true} {
		if got := exported(strings.Fields(to), "shop", "bank"); got != want {
			t.Errorf("%q: %v", to, got)
		}
	}
	s := namedService("shop", "web")
	s.Annotations = map[string]string{"networking.istio.io/exportTo": "., bank,"}
	if got := exportedTo(&s); !slices.Equal(got, []string{".", "bank"}) {
		t.Errorf("%q", got)
	}
}
