package config

import (
	"encoding/json"
	"fmt"
	"log"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"metalworks/lab/k3s/internal/layout"
	"metalworks/lab/k3s/internal/registries"
)

// Settings are the configuration of one node, complete and checked.
type Settings struct {
	Role          Role
	Token         string // as it was given: short or long form; empty: the server makes one
	Server        string
	ClusterInit   bool
	DataDir       string
	PublicPort    int // of API and supervisor, on every server
	LocalPort     int // of the API on 127.0.0.1: kube-apiserver itself, or an agent's load balancer in front of all
	NodePorts     string
	ResolvConf    string
	StoragePath   string
	NodeName      string
	NodeIP        string
	NodeLabels    []string
	NodeTaints    []string
	FlannelIface  string
	Snapshotter   string
	KubeconfigMod os.FileMode
	TLSSAN        []string
	Cluster       Cluster
	KubeletArgs   []string
	ProxyArgs     []string
	APIServerArgs []string
	ManagerArgs   []string
	SchedulerArgs []string
	Registries    registries.File // not of config.yaml, but of the file beside it
}

// Cluster holds the settings that must agree on all servers.
type Cluster struct {
	ClusterCIDR          string   `json:"cluster-cidr"`
	ServiceCIDR          string   `json:"service-cidr"`
	ClusterDNS           string   `json:"cluster-dns"`
	ClusterDomain        string   `json:"cluster-domain"`
	Disable              []string `json:"disable"`
	FlannelBackend       string   `json:"flannel-backend"`
	DisableNetworkPolicy bool     `json:"disable-network-policy"`
	SecretsEncryption    bool     `json:"secrets-encryption"`
}

func (v values) text(name, otherwise string) string {
	if given := v[name]; len(given) > 0 && given[len(given)-1] != "" {
		return given[len(given)-1]
	}
	return otherwise
}

func (v values) toggle(name string) bool {
	on, _ := strconv.ParseBool(v.text(name, "false")) // checked before
	return on
}

func settle(role Role, v values) (*Settings, error) {
	mode, err := strconv.ParseUint(v.text("write-kubeconfig-mode", "0600"), 8, 32)
	if err != nil || mode > 0o777 {
		log.Printf("Failed to set the mode of the kubeconfig to %s: it stays 0600", v.text("write-kubeconfig-mode", ""))
		mode = 0o600
	}
	port, _ := strconv.Atoi(v.text("https-listen-port", strconv.Itoa(layout.PublicPort))) // checked before
	s := &Settings{
		Role:          role,
		Token:         v.text("token", ""),
		Server:        v.text("server", ""),
		ClusterInit:   v.toggle("cluster-init"),
		DataDir:       v.text("data-dir", layout.DefaultDataDir),
		PublicPort:    port,
		LocalPort:     port + 1,
		NodePorts:     v.text("service-node-port-range", "30000-32767"),
		ResolvConf:    v.text("resolv-conf", ""),
		StoragePath:   v.text("default-local-storage-path", ""),
		NodeName:      v.text("node-name", ""),
		NodeIP:        v.text("node-ip", ""),
		NodeLabels:    v["node-label"],
		NodeTaints:    v["node-taint"],
		FlannelIface:  v.text("flannel-iface", ""),
		Snapshotter:   v.text("snapshotter", "overlayfs"),
		KubeconfigMod: os.FileMode(mode),
		TLSSAN:        v["tls-san"],
		KubeletArgs:   v["kubelet-arg"],
		ProxyArgs:     v["kube-proxy-arg"],
		APIServerArgs: v["kube-apiserver-arg"],
		ManagerArgs:   v["kube-controller-manager-arg"],
		SchedulerArgs: v["kube-scheduler-arg"],
		Cluster: Cluster{
			ClusterCIDR:          v.text("cluster-cidr", "10.42.0.0/16"),
			ServiceCIDR:          v.text("service-cidr", "10.43.0.0/16"),
			ClusterDomain:        v.text("cluster-domain", "cluster.local"),
			Disable:              slices.Sorted(slices.Values(splitCommas(v["disable"]))),
			FlannelBackend:       v.text("flannel-backend", "vxlan"),
			DisableNetworkPolicy: v.toggle("disable-network-policy"),
			SecretsEncryption:    v.toggle("secrets-encryption"),
		},
	}
	if role == Agent {
		s.LocalPort = layout.BalancePort
	}
	if err := s.settleNetwork(v); err != nil {
		return nil, err
	}
	return s, s.settleToken(v.text("token-file", ""))
}

func splitCommas(given []string) []string {
	var parts []string
	for _, value := range given {
		parts = append(parts, strings.Split(value, ",")...)
	}
	return parts
}

func (s *Settings) settleNetwork(v values) error {
	pods, services := netip.MustParsePrefix(s.Cluster.ClusterCIDR), netip.MustParsePrefix(s.Cluster.ServiceCIDR)
	if pods.Overlaps(services) {
		return fmt.Errorf("cluster-cidr %s and service-cidr %s overlap: choose networks that have no address in common",
			pods, services)
	}
	if pods.Bits() > 24 {
		return fmt.Errorf("cluster-cidr %s is too small: every node takes a /24 of it", pods)
	}
	s.Cluster.ClusterDNS = v.text("cluster-dns", TenthAddress(services).String())
	if !services.Contains(netip.MustParseAddr(s.Cluster.ClusterDNS)) {
		return fmt.Errorf("cluster-dns %s is not in service-cidr %s", s.Cluster.ClusterDNS, services)
	}
	for _, absent := range []string{"traefik", "servicelb"} {
		if s.Role == Server && !slices.Contains(s.Cluster.Disable, absent) {
			return fmt.Errorf("the stand-in has no %s: put %s into `disable`", absent, absent)
		}
	}
	return nil
}

// TenthAddress is where k3s puts the cluster's DNS service.
func TenthAddress(services netip.Prefix) netip.Addr {
	address := services.Addr()
	for range 10 {
		address = address.Next()
	}
	return address
}

func (s *Settings) settleToken(file string) error {
	if s.Role == Agent && s.Server == "" {
		return fmt.Errorf("an agent needs `server`: write server: https://HOST:6443 into its configuration")
	}
	if file != "" && s.Token == "" {
		content, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("token-file: %w", err)
		}
		s.Token = strings.TrimSpace(string(content))
		if s.Token == "" {
			return fmt.Errorf("token-file: %s is empty: write the cluster's secret into it", file)
		}
	}
	if s.Server != "" && s.Token == "" {
		return fmt.Errorf("joining %s needs the cluster's token: write token-file into the configuration", s.Server)
	}
	return nil
}

// Differences names the settings in which a joining server differs from the cluster, with both values.
func (c Cluster) Differences(joiner Cluster) []string {
	ours, theirs := c.fields(), joiner.fields()
	var found []string
	for name := range ours {
		if ours[name] != theirs[name] {
			found = append(found, fmt.Sprintf("%s is %s in the cluster, %s here", name, ours[name], theirs[name]))
		}
	}
	slices.Sort(found)
	return found
}

func (c Cluster) fields() map[string]string {
	encoded, _ := json.Marshal(c) // strings, booleans and lists of strings cannot fail
	var raw map[string]json.RawMessage
	_ = json.Unmarshal(encoded, &raw)
	delete(raw, "disable") // may differ, apart from servicelb, which the stand-in never has
	fields := map[string]string{}
	for name, value := range raw {
		fields[name] = string(value)
	}
	return fields
}
