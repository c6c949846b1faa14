// Package agent runs a node: containerd, kubelet, kube-proxy and the pods' network. Servers are nodes, too.
package agent

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"metalworks/lab/k3s/internal/config"
	"metalworks/lab/k3s/internal/layout"
	"metalworks/lab/k3s/internal/pki"
	"metalworks/lab/k3s/internal/process"
	"metalworks/lab/k3s/internal/supervisor"
)

// Files of the node.
func kubeletKubeconfig() string    { return layout.Agent("kubelet.kubeconfig") }
func proxyKubeconfig() string      { return layout.Agent("kubeproxy.kubeconfig") }
func controllerKubeconfig() string { return layout.Agent("k3scontroller.kubeconfig") }
func kubeletConfig() string        { return layout.Agent("etc", "kubelet.conf") }
func serverCA() string             { return layout.Agent("server-ca.crt") }
func clientCA() string             { return layout.Agent("client-ca.crt") }

// Identify completes the settings with what this machine says of itself.
func Identify(s *config.Settings) error {
	if s.NodeName == "" {
		hostname, err := os.Hostname()
		if err != nil {
			return err
		}
		s.NodeName = strings.ToLower(hostname)
	}
	if s.FlannelIface != "" {
		return useInterface(s)
	}
	if s.NodeIP != "" {
		return checkLocal(s.NodeIP)
	}
	address, err := defaultAddress()
	s.NodeIP = address
	return err
}

// useInterface takes the node's address from the interface, or sees to it that the interface has it.
func useInterface(s *config.Settings) error {
	found, err := net.InterfaceByName(s.FlannelIface)
	if err != nil {
		return fmt.Errorf("flannel-iface %q: %w: write one of %v", s.FlannelIface, err, interfaceNames())
	}
	addresses, err := found.Addrs()
	if err != nil {
		return err
	}
	var own []string
	for _, address := range addresses {
		if prefix, err := netip.ParsePrefix(address.String()); err == nil && prefix.Addr().Is4() {
			own = append(own, prefix.Addr().String())
		}
	}
	switch {
	case len(own) == 0:
		return fmt.Errorf("flannel-iface %q has no IPv4 address", s.FlannelIface)
	case s.NodeIP == "":
		s.NodeIP = own[0]
	case !slices.Contains(own, s.NodeIP):
		return fmt.Errorf("node-ip %s is not an address of flannel-iface %q: write one of %v", s.NodeIP, s.FlannelIface, own)
	}
	return nil
}

func interfaceNames() []string {
	var names []string
	interfaces, _ := net.Interfaces() // only for the sentence: without them it is shorter
	for _, found := range interfaces {
		names = append(names, found.Name)
	}
	return names
}

func checkLocal(ip string) error {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return err
	}
	for _, address := range addresses {
		if prefix, err := netip.ParsePrefix(address.String()); err == nil && prefix.Addr().String() == ip {
			return nil
		}
	}
	return fmt.Errorf("node-ip %s is not an address of this machine: write one of %v", ip, addresses)
}

// defaultAddress is the address that the default route leaves from.
func defaultAddress() (string, error) {
	connection, err := net.Dial("udp", "192.0.2.1:9") // a documentation address: nothing is sent
	if err != nil {
		return "", fmt.Errorf("no default route, so node-ip must be written into the configuration: %w", err)
	}
	defer func() { _ = connection.Close() }()
	return connection.LocalAddr().(*net.UDPAddr).IP.String(), nil
}

// nodePassword is made once; it proves to the servers that this machine is the one that first had its name.
func nodePassword() (string, error) {
	content, err := os.ReadFile(layout.NodePassword)
	if err == nil {
		return strings.TrimSpace(string(content)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	raw := make([]byte, 16)
	if _, err := rand.Read(raw); err != nil {
		return "", err
	}
	password := hex.EncodeToString(raw)
	return password, pki.WriteFile(layout.NodePassword, []byte(password+"\n"), 0o600)
}

// Asker gives a node its certificates: the supervisor itself on a server, its client on an agent.
type Asker func(context.Context, supervisor.NodeRequest) (supervisor.NodeReply, error)

// Join asks for the node's certificates and writes them with the kubeconfigs.
func Join(ctx context.Context, s *config.Settings, ask Asker) (config.Cluster, error) {
	password, err := nodePassword()
	if err != nil {
		return config.Cluster{}, err
	}
	request := supervisor.NodeRequest{
		Name: s.NodeName, IP: s.NodeIP, Password: password, Requests: map[string][]byte{},
	}
	for name := range supervisor.NodeCertificates(s.NodeName, s.NodeIP) {
		if request.Requests[name], err = pki.Request(layout.Agent(name + ".key")); err != nil {
			return config.Cluster{}, err
		}
	}
	reply, err := ask(ctx, request)
	if err != nil {
		return config.Cluster{}, err
	}
	return reply.Cluster, writeNode(s, reply)
}

func writeNode(s *config.Settings, reply supervisor.NodeReply) error {
	files := map[string][]byte{serverCA(): reply.ServerCA, clientCA(): reply.ClientCA}
	for name, certificate := range reply.Certificates {
		files[layout.Agent(name+".crt")] = certificate
	}
	for path, content := range files {
		if err := pki.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	api := fmt.Sprintf("https://127.0.0.1:%d", s.LocalPort)
	for path, client := range map[string]string{
		kubeletKubeconfig():    "client-kubelet",
		proxyKubeconfig():      "client-kube-proxy",
		controllerKubeconfig(): "client-k3s-controller",
	} {
		if err := pki.WriteKubeconfig(path, api, serverCA(), layout.Agent(client)); err != nil {
			return err
		}
	}
	return nil
}

// StartKubelet starts the kubelet and kube-proxy of a node that has joined.
func StartKubelet(s *config.Settings, cluster config.Cluster, children *process.Group) error {
	if err := writeKubeletConfig(s, cluster); err != nil {
		return err
	}
	arguments := []string{
		"--config=" + kubeletConfig(),
		"--kubeconfig=" + kubeletKubeconfig(),
		"--hostname-override=" + s.NodeName,
		"--node-ip=" + s.NodeIP,
		"--root-dir=/var/lib/kubelet",
		"--cert-dir=" + layout.Agent("kubelet-pki"),
		// cAdvisor has a setting of its own for the socket. Without it, it names no container in its measurements.
		"--containerd=" + layout.ContainerdSocket,
	}
	if len(s.NodeLabels) > 0 {
		arguments = append(arguments, "--node-labels="+strings.Join(s.NodeLabels, ","))
	}
	if len(s.NodeTaints) > 0 {
		arguments = append(arguments, "--register-with-taints="+strings.Join(s.NodeTaints, ","))
	}
	if err := children.Start("kubelet", append(arguments, Flags(s.KubeletArgs)...)); err != nil {
		return err
	}
	return children.Start("kube-proxy", append([]string{
		"--kubeconfig=" + proxyKubeconfig(),
		"--cluster-cidr=" + cluster.ClusterCIDR,
		"--hostname-override=" + s.NodeName,
		"--proxy-mode=iptables",
		"--healthz-bind-address=127.0.0.1",
		"--conntrack-max-per-core=0", // the limit belongs to the host, which a lab machine may not change
		"--conntrack-tcp-timeout-established=0s", "--conntrack-tcp-timeout-close-wait=0s",
	}, Flags(s.ProxyArgs)...))
}

// Flags turns `name=value` of the configuration into flags.
func Flags(arguments []string) []string {
	var flags []string
	for _, argument := range arguments {
		flags = append(flags, "--"+strings.TrimPrefix(argument, "--"))
	}
	return flags
}
