// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"strings"

	"github.com/meshfed/meshfed/internal/cluster"
)

// hostPatches are the kubeadm patches that the host needs.
func hostPatches(f cluster.Facts) []string {
	var kubelet, proxy []string
	if f.CgroupV1 {
		// Kubernetes 1.35 and later refuse to start there unless told otherwise.
		kubelet = append(kubelet, "failCgroupV1: false")
	}
	if f.NoSysResource {
		// The defaults are below 0, and a score can not be lowered.
		kubelet = append(kubelet, "oomScoreAdj: 0")
		proxy = append(proxy, "oomScoreAdj: 0", "conntrack:", "  maxPerCore: 0")
	}
	var patches []string
	if len(kubelet) > 0 {
		patches = append(patches, "kind: KubeletConfiguration\n"+strings.Join(kubelet, "\n")+"\n")
	}
	if len(proxy) > 0 {
		patches = append(patches, "kind: KubeProxyConfiguration\n"+strings.Join(proxy, "\n")+"\n")
	}
	return patches
}

// labPatches make a cluster that lives in one container quicker, on any host:
//   - etcd does not wait for the disk. What a crash of the host can lose is a cluster that can
//     be made again.
//   - The controller manager asks its API as often as it likes. Its default of 20 requests in
//     a second delays its controllers, and with them every first pod, by 5 s.
//   - With one control plane there is nobody to elect: no waiting for a dead leader's lease
//     after a restart.
//   - Keys are ECDSA, which are made in no time; kubeadm knows that since v1beta4, which kind
//     0.33 writes for Kubernetes 1.36 and later.
//   - The kubelet is not restarted to use the certificate that it has rotated.
//
// Arguments are written as a map: kind merges it with its own in either version of kubeadm's
// configuration, as long as the patch names none.
func labPatches(single bool) []string {
	elect := ""
	if single {
		elect = "    leader-elect: \"false\"\n"
	}
	return []string{
		"kind: ClusterConfiguration\n" +
			"etcd:\n  local:\n    extraArgs:\n      unsafe-no-fsync: \"true\"\n" +
			"controllerManager:\n  extraArgs:\n    kube-api-qps: \"200\"\n    kube-api-burst: \"400\"\n" + elect +
			"scheduler:\n  extraArgs:\n    kube-api-qps: \"200\"\n    kube-api-burst: \"400\"\n" + elect,
		"apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nencryptionAlgorithm: ECDSA-P256\n",
		// A list is replaced as a whole: preflight is what kind skips.
		"kind: InitConfiguration\nskipPhases: [preflight, kubelet-finalize]\n",
	}
}

// statsPatch lets containerd, from 2.3 on, sample the processor time of containers once a minute
// and not every second (stats_collect_period of its runtime plugin). Each sample asks the shim of
// every container for all its numbers: two idle clusters kept 31 % of two cores busy with it, and
// 21 % without. The kubelet counts by itself (cAdvisor) unless its feature PodAndContainerStatsFromCRI
// is on; then a minute between two samples is what its rates are made of. Older releases ignore the key.
const statsPatch = "[plugins.\"io.containerd.cri.v1.runtime\"]\n  stats_collect_period = \"1m\"\n"
