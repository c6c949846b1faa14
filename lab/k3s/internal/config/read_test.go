package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const base = "disable: [traefik, servicelb]\n"

// read writes files below a configuration folder and reads them with the arguments.
func read(t *testing.T, role Role, files map[string]string, arguments ...string) (*Settings, error) {
	t.Helper()
	folder := t.TempDir()
	for name, content := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Read(role, append([]string{"--config", filepath.Join(folder, "config.yaml")}, arguments...))
}

func TestRefusals(t *testing.T) {
	cases := map[string]struct {
		role    Role
		file    string
		flags   []string
		refused string
	}{
		"a key beyond the stand-in":   {Server, base + "etcd-s3: true\n", nil, "etcd-s3: k3s has this key, but the stand-in does not"},
		"a mapping for a list":        {Server, base + "tls-san: {a: b}\n", nil, "tls-san is neither a value nor a list"},
		"a word for true or false":    {Server, base + "cluster-init: perhaps\n", nil, "not true or false"},
		"an unknown component":        {Server, "disable: [traefik, servicelb, dns]\n", nil, `"dns" is not one of`},
		"traefik not disabled":        {Server, "disable: servicelb\n", nil, "has no traefik"},
		"networks that overlap":       {Server, base + "cluster-cidr: 10.0.0.0/8\n", nil, "overlap"},
		"host bits in a network":      {Server, base + "cluster-cidr: 10.42.1.0/16\n", nil, "not one IPv4 network"},
		"networks of two families":    {Server, base + "cluster-cidr: 10.42.0.0/16,2001:db8::/56\n", nil, "not one IPv4 network"},
		"addresses of two families":   {Server, base + "node-ip: 192.0.2.1,2001:db8::1\n", nil, "not one IPv4 address"},
		"too small a network":         {Server, base + "cluster-cidr: 10.44.0.0/25\n", nil, "too small"},
		"DNS outside of the services": {Server, base + "cluster-dns: 10.99.0.10\n", nil, "is not in service-cidr"},
		"an unknown backend":          {Server, base + "flannel-backend: wireguard-native\n", nil, "is not one of"},
		"a port that is none":         {Server, base + "https-listen-port: 70000\n", nil, "is not a port"},
		"node ports that are none":    {Server, base + "service-node-port-range: 30000 to 32767\n", nil, "not a range of ports"},
		"a relative data-dir":         {Server, base + "data-dir: k3s\n", nil, "not the absolute path"},
		"a server without https":      {Agent, "server: http://a:6443\ntoken: s\n", nil, "https://HOST:6443"},
		"an agent without a server":   {Agent, "token: s\n", nil, "an agent needs `server`"},
		"joining without a token":     {Agent, "server: https://a:6443\n", nil, "needs the cluster's token"},
		"a token file that is absent": {Agent, "server: https://a:6443\ntoken-file: /nowhere\n", nil, "token-file"},
		"a taint without an effect":   {Agent, "server: https://a:6443\ntoken: s\nnode-taint: [a=b]\n", nil, "is not a taint"},
		"an unknown flag":             {Server, base, []string{"--nodename=a"}, "--nodename: k3s has no such key"},
		"a server's flag on an agent": {Agent, "server: https://a:6443\ntoken: s\n", []string{"--cluster-init"}, "no such key"},
		"a flag without its value":    {Server, base, []string{"--node-name"}, "needs a value"},
		"what is no YAML":             {Server, "a: [\n", nil, "does not hold keys"},
		"a list at the top":           {Server, "- a\n", nil, "does not hold keys"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := read(t, c.role, map[string]string{"config.yaml": c.file}, c.flags...)
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Fatalf("wanted a refusal with %q, found: %v", c.refused, err)
			}
		})
	}
}

func TestSources(t *testing.T) {
	found, err := read(t, Server, map[string]string{
		"config.yaml":          base + "node-name: first\ntls-san: [a]\nkubelet-arg: [v=2]\nwrite-kubeconfig-mode: 0644\n",
		"config.yaml.d/1.yaml": "node-name: second\ntls-san+: [b]\nkubelet-arg: [v=3]\n",
		"config.yaml.d/2.YML":  "cluster-init: yes\nno-such-key: skipped\nnode-label: [z=y]\n",
		"config.yaml.d/3.yaml": "flannel-backend: [vxlan, host-gw]\nhttps-listen-port: 7443\n",
		"config.yaml.d/4.conf": "node-name: not read, it is neither .yaml nor .yml\n",
	}, "--node-label", "a=b", "--node-label=c=d", "--secrets-encryption")
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]any{
		"a later file replaces":        {found.NodeName, "second"},
		"key+ adds":                    {found.TLSSAN, []string{"a", "b"}},
		"a list is replaced otherwise": {found.KubeletArgs, []string{"v=3"}},
		"flags add to the files' list": {found.NodeLabels, []string{"z=y", "a=b", "c=d"}},
		"a toggle needs no value":      {found.Cluster.SecretsEncryption, true},
		"a file of the folder counts":  {found.ClusterInit, true},
		"a mode without quotes":        {found.KubeconfigMod, os.FileMode(0o420)}, // 0644 is 420, read as octal again
		"the last value of several":    {found.Cluster.FlannelBackend, "host-gw"},
		"a port of its own":            {found.PublicPort, 7443},
		"the API's own port follows":   {found.LocalPort, 7444},
		"the default of cluster-dns":   {found.Cluster.ClusterDNS, "10.43.0.10"},
		"the default of node ports":    {found.NodePorts, "30000-32767"},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s: found %v, wanted %v", name, pair[0], pair[1])
		}
	}
}

func TestAnAgentSkipsWhatServersHave(t *testing.T) {
	found, err := read(t, Agent, map[string]string{
		"config.yaml": "server: https://a:6443\ntoken: s\ncluster-cidr: 10.0.0.0/16\nwrite-kubeconfig-mode: none\n",
	})
	if err != nil || found.LocalPort != 6444 {
		t.Fatalf("found %+v, %v", found, err)
	}
}

func TestABadModeLeavesTheKubeconfigToRoot(t *testing.T) {
	found, err := read(t, Server, map[string]string{"config.yaml": base + "write-kubeconfig-mode: \"0688\"\n"})
	if err != nil || found.KubeconfigMod != 0o600 {
		t.Fatalf("found %+v, %v", found, err)
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("K3S_URL", "https://a:6443")
	t.Setenv("K3S_TOKEN", "secret")
	found, err := read(t, Agent, nil)
	if err != nil || found.Server != "https://a:6443" || found.Token != "secret" {
		t.Fatalf("found %+v, %v", found, err)
	}
}

func TestDifferencesNameKeyAndBothValues(t *testing.T) {
	ours, err := read(t, Server, map[string]string{"config.yaml": base})
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := read(t, Server, map[string]string{
		"config.yaml": "disable: [servicelb, traefik, coredns]\nservice-cidr: 10.96.0.0/16\nsecrets-encryption: true\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	wanted := []string{
		`cluster-dns is "10.43.0.10" in the cluster, "10.96.0.10" here`,
		`secrets-encryption is false in the cluster, true here`,
		`service-cidr is "10.43.0.0/16" in the cluster, "10.96.0.0/16" here`,
	}
	if found := ours.Cluster.Differences(theirs.Cluster); !reflect.DeepEqual(found, wanted) {
		t.Errorf("found %q", found)
	}
}
