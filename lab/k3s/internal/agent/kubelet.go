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
	resolver, err := podResolver(s)
	if err != nil {
		return err
	}
	settings := map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1beta1",
		"kind":       "KubeletConfiguration",
		"authentication": map[string]any{
			"anonymous": map[string]any{"enabled": false},
			"webhook":   map[string]any{"enabled": true},
			"x509":      map[string]any{"clientCAFile": clientCA()},
		},
		"authorization":            map[string]any{"mode": "Webhook"},
		"cgroupDriver":             "cgroupfs",
		"clusterDNS":               []string{cluster.ClusterDNS},
		"clusterDomain":            cluster.ClusterDomain,
		"containerRuntimeEndpoint": "unix://" + layout.ContainerdSocket,
		// A lab machine shares the disk of its host, so a threshold in percent of it says nothing about the machine.
		"evictionHard":                map[string]string{"imagefs.available": "1%", "nodefs.available": "1%"},
		"imageGCHighThresholdPercent": 100,
		"failSwapOn":                  false,
		"featureGates":                map[string]bool{"KubeletInUserNamespace": limited()},
		"resolvConf":                  resolver,
		"serializeImagePulls":         false,
		"healthzBindAddress":          "127.0.0.1",
		"tlsCertFile":                 layout.Agent("serving-kubelet.crt"),
		"tlsPrivateKeyFile":           layout.Agent("serving-kubelet.key"),
		"staticPodPath":               layout.Agent("pod-manifests"),
	}
	if err := os.MkdirAll(layout.Agent("pod-manifests"), 0o700); err != nil {
		return err
	}
	content, err := json.MarshalIndent(settings, "", "  ")
	if err != nil {
		return err
	}
	return pki.WriteFile(kubeletConfig(), content, 0o600)
}

// resolvers are where k3s looks for the resolv.conf of pods, in its order.
var resolvers = []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"}

// podResolver is the resolv.conf that CoreDNS forwards to: the configured one, or the first that pods can use. k3s takes
// 8.8.8.8 where there is none. The launcher relays from the node's address instead (ServeDNS), so that names of a
// closed network are found.
func podResolver(s *config.Settings) (string, error) {
	if s.ResolvConf != "" {
		return s.ResolvConf, nil
	}
	for _, path := range resolvers {
		if usable(nameservers(path)) {
			return path, nil
		}
	}
	path := layout.Agent("etc", "resolv.conf")
	return path, pki.WriteFile(path, fmt.Appendf(nil, "nameserver %s\n", s.NodeIP), 0o644)
}

// usable tells whether pods can ask these: none may be on the loopback of the machine, or a group.
func usable(servers []netip.Addr) bool {
	for _, server := range servers {
		if !server.IsGlobalUnicast() {
			return false
		}
	}
	return len(servers) > 0
}

// nameservers returns the resolvers that a resolv.conf names. One that is no address counts as the zero address.
func nameservers(path string) []netip.Addr {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	var found []netip.Addr
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "nameserver" {
			address, _ := netip.ParseAddr(fields[1])
			found = append(found, address)
		}
	}
	return found
}
