// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package istiod

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// What istiod says of a remote cluster, from Istio's pkg/kube/multicluster/cluster.go.
const (
	// Synced: all that is in the cluster has been read once.
	Synced = "synced"
	// Syncing: the cluster is being read, or does not let itself be.
	Syncing = "syncing"
	// Timeout: not synced within PILOT_REMOTE_CLUSTER_TIMEOUT, 30 s by default. It still can.
	Timeout = "timeout"
	// Closed: dropped.
	Closed = "closed"
)

// RemoteCluster is an entry of /debug/clusterz. The first entry is istiod's own cluster,
// which has no SecretName.
type RemoteCluster struct {
	// ID is the cluster's name in the mesh.
	ID string `json:"id"`
	// SecretName is namespace/name of the remote secret.
	SecretName string `json:"secretName"`
	// SyncStatus is one of the constants.
	SyncStatus string `json:"syncStatus"`
}

// ParseClusterz reads an answer of /debug/clusterz, which names at least istiod's own
// cluster; anything else is an error.
func ParseClusterz(data []byte) ([]RemoteCluster, error) {
	var clusters []RemoteCluster
	if err := json.Unmarshal(data, &clusters); err != nil {
		return nil, fmt.Errorf("reading the list of clusters: %w", err)
	}
	if len(clusters) == 0 {
		return nil, errors.New("reading the list of clusters: it is empty, not even istiod's own cluster is in it")
	}
	for i, c := range clusters {
		if c.ID == "" || c.SyncStatus == "" {
			return nil, fmt.Errorf("reading the list of clusters: entry %d has no id or no syncStatus", i+1)
		}
	}
	return clusters, nil
}

// Knows says whether a peer is in an answer of /debug/clusterz by a remote secret, synced or not.
func Knows(clusters []RemoteCluster, peer string) bool {
	return slices.ContainsFunc(clusters, func(c RemoteCluster) bool { return c.ID == peer && c.SecretName != "" })
}

// Missing says in words which peers are not synced in an answer of /debug/clusterz: "east is
// syncing, north is not known"; "" when all are.
func Missing(clusters []RemoteCluster, peers []string) string {
	var missing []string
	for _, peer := range peers {
		i := slices.IndexFunc(clusters, func(c RemoteCluster) bool { return c.ID == peer && c.SecretName != "" })
		switch {
		case i < 0:
			missing = append(missing, peer+" is not known")
		case clusters[i].SyncStatus == Timeout:
			missing = append(missing, peer+" is not synced in time, its API server does not answer istiod")
		case clusters[i].SyncStatus != Synced:
			missing = append(missing, peer+" is "+clusters[i].SyncStatus)
		}
	}
	return strings.Join(missing, ", ")
}
