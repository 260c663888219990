// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

// fieldsOfIstio are the rows of boundaries() about Istio as the user wants it and about clusters
// that exist. Whoever builds a field moves its values from refused to accepted.
func fieldsOfIstio() []field {
	return []field{
		{"spec.clusters[west].provider.kubeconfig.path", nil, []string{"[]", "{a: b}"}},
		{"spec.clusters[west].provider.kubeconfig.context", nil, []string{"{}", "[west]"}},
		{"spec.clusters[west].provider.kubeconfig.adopt", nil, []string{`"yes"`, "1"}},
		{"spec.clusters[west].provider.kubeconfig.labelNodes", nil, []string{"on", "[]"}},
	}
}
