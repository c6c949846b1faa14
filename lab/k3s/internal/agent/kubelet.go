package agent

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"metalworks/lab/k3s/internal/config"
	"metalworks/lab/k3s/internal/layout"
	"metalworks/lab/k3s/internal/pki"
)

const (
	kubeletConfig = layout.AgentDir + "/etc/kubelet.conf"
	resolvConf    = layout.AgentDir + "/etc/resolv.conf"
)

// limited tells whether this machine lacks the right to raise limits, as a container without CAP_SYS_RESOURCE does.
// Then the kubelet and containerd must do without what only a full machine allows.
func limited() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return true
	}
	return sets[0].Effective&(1<<unix.CAP_SYS_RESOURCE) == 0
}

func writeKubeletConfig(s *config.Settings, cluster config.Cluster) error {
	resolver, err := podResolver(s.NodeIP)
	if err != nil {
		return err
	}
	settings := map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1beta1",
		"kind":       "KubeletConfiguration",
		"authentication": map[string]any{
			"anonymous": map[string]any{"enabled": false},
			"webhook":   map[string]any{"enabled": true},
			"x509":      map[string]any{"clientCAFile": clientCA},
		},
		"authorization":            map[string]any{"mode": "Webhook"},
		"cgroupDriver":             "cgroupfs",
		"clusterDNS":               []string{cluster.ClusterDNS},
		"clusterDomain":            cluster.ClusterDomain,
		"containerRuntimeEndpoint": "unix://" + layout.ContainerdSocket,
		// A lab machine shares the disk of its host, so a threshold in percent of it says nothing about the machine.
		"evictionHard":                map[string]string{"imagefs.available": "1%", "nodefs.available": "1%"},
		"imageGCHighThresholdPercent": 100,
		"failCgroupV1":                false,
		"failSwapOn":                  false,
		"featureGates":                map[string]bool{"KubeletInUserNamespace": limited()},
		"resolvConf":                  resolver,
		"serializeImagePulls":         false,
		"healthzBindAddress":          "127.0.0.1",
		"tlsCertFile":                 layout.AgentDir + "/serving-kubelet.crt",
		"tlsPrivateKeyFile":           layout.AgentDir + "/serving-kubelet.key",
		"staticPodPath":               layout.AgentDir + "/pod-manifests",
	}
	if err := os.MkdirAll(layout.AgentDir+"/pod-manifests", 0o700); err != nil {
		return err
	}
	content, err := json.MarshalIndent(settings, "", "  ")
	if err != nil {
		return err
	}
	return pki.WriteFile(kubeletConfig, content, 0o600)
}

// podResolver is the resolv.conf that CoreDNS forwards to. A resolver on the machine's loopback cannot be reached from
// a pod, so the launcher relays to it from the node's address (ServeDNS).
func podResolver(nodeIP string) (string, error) {
	if _, needed := loopbackResolver(); !needed {
		return "/etc/resolv.conf", nil
	}
	return resolvConf, pki.WriteFile(resolvConf, fmt.Appendf(nil, "nameserver %s\n", nodeIP), 0o644)
}

// loopbackResolver is the machine's resolver, when all that it names are on the loopback.
func loopbackResolver() (string, bool) {
	content, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return "", false
	}
	found := ""
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		address, err := netip.ParseAddr(fields[1])
		if err != nil || !address.IsLoopback() {
			return "", false
		}
		found = fields[1]
	}
	return found, found != ""
}
