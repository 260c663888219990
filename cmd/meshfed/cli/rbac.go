// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/verify"
)

// rights are the rules of what --for of `render rbac` may name.
var rights = map[string]func() []rbacv1.PolicyRule{"passive": verify.PassiveRole}

// laterRights are those of the contract that are not written down yet.
var laterRights = []string{"verify", "up", "refresh"}

func (a *app) rbac() *cobra.Command {
	var purpose string
	c := &cobra.Command{
		Use:   "rbac --for passive",
		Short: "The exact rights that a command needs in a cluster, as a ClusterRole",
		Long: "The exact rights that a command needs in a cluster, as a ClusterRole for kubectl apply.\n\n" +
			"passive: `meshfed verify --passive --contexts A,B`. It reads no Secret and changes nothing. The one\n" +
			"right that is more than a look is pods/portforward, by which istiod and Envoy are asked; it reaches\n" +
			"every port of every pod, and Kubernetes has no smaller one.",
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			rules := rights[purpose]
			switch {
			case purpose == "":
				return usage(diag.Hint(errors.New("--for says nothing"), "`meshfed render rbac --for passive`"))
			case contains(laterRights, purpose):
				return usage(diag.Hint(fmt.Errorf("`meshfed render rbac --for %s` is not built yet", purpose), "there is --for passive"))
			case rules == nil:
				return usage(diag.Hint(fmt.Errorf("--for %s: there are no such rights", purpose), "there is --for passive"))
			}
			role := rbacv1.ClusterRole{
				TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole"},
				ObjectMeta: metav1.ObjectMeta{Name: "meshfed-" + purpose}, Rules: rules(),
			}
			if a.output == "json" {
				return writeJSON(a.Out, role)
			}
			text, err := yaml.Marshal(role)
			if err != nil {
				return fmt.Errorf("writing the ClusterRole: %w", err)
			}
			_, err = a.Out.Write(text)
			return err
		},
	}
	c.Flags().StringVar(&purpose, "for", "", "what the rights are for: passive")
	return c
}
