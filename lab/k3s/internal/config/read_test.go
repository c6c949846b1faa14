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
		"an unknown key":              {Server, base + "cluster-cird: 10.0.0.0/16\n", nil, `write "cluster-cidr" instead`},
		"the line of it":              {Server, base + "etcd-s3: true\n", nil, "line 2"},
		"a server's key on an agent":  {Agent, "server: https://a:6443\ntoken: s\ncluster-cidr: 10.0.0.0/16\n", nil, "is for servers"},
		"a list for one value":        {Server, base + "node-name: [a, b]\n", nil, "node-name must be one value"},
		"a mapping for a list":        {Server, base + "tls-san: {a: b}\n", nil, "tls-san must be a list"},
		"a word for true or false":    {Server, base + "cluster-init: perhaps\n", nil, "not true or false"},
		"an unknown component":        {Server, "disable: [traefik, servicelb, dns]\n", nil, `"dns" is not one of`},
		"traefik not disabled":        {Server, "disable: servicelb\n", nil, "has no traefik"},
		"networks that overlap":       {Server, base + "cluster-cidr: 10.0.0.0/8\n", nil, "overlap"},
		"host bits in a network":      {Server, base + "cluster-cidr: 10.42.1.0/16\n", nil, "not an IPv4 network"},
		"too small a network":         {Server, base + "cluster-cidr: 10.44.0.0/25\n", nil, "too small"},
		"DNS outside of the services": {Server, base + "cluster-dns: 10.99.0.10\n", nil, "is not in service-cidr"},
		"an unknown backend":          {Server, base + "flannel-backend: wireguard-native\n", nil, "is not one of"},
		"a mode that is none":         {Server, base + "write-kubeconfig-mode: \"0688\"\n", nil, "not a file mode"},
		"a server without https":      {Agent, "server: http://a:6443\ntoken: s\n", nil, "https://HOST:6443"},
		"an agent without a server":   {Agent, "token: s\n", nil, "an agent needs `server`"},
		"joining without a token":     {Agent, "server: https://a:6443\n", nil, "needs the cluster's token"},
		"a token file that is absent": {Agent, "server: https://a:6443\ntoken-file: /nowhere\n", nil, "token-file"},
		"a taint without an effect":   {Agent, "server: https://a:6443\ntoken: s\nnode-taint: [a=b]\n", nil, "is not a taint"},
		"an unknown flag":             {Server, base, []string{"--nodename=a"}, `write "node-name" instead`},
		"a flag without its value":    {Server, base, []string{"--node-name"}, "needs a value"},
		"what is no YAML":             {Server, "a: [\n", nil, "is not YAML"},
		"a list at the top":           {Server, "- a\n", nil, "the top must be keys"},
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
		"config.yaml.d/2.yaml": "cluster-init: true\n",
		"config.yaml.d/3.yml":  "node-name: not read, it does not end in .yaml\n",
	}, "--node-label", "a=b", "--node-label=c=d", "--secrets-encryption")
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]any{
		"a later file replaces":        {found.NodeName, "second"},
		"key+ adds":                    {found.TLSSAN, []string{"a", "b"}},
		"a list is replaced otherwise": {found.KubeletArgs, []string{"v=3"}},
		"flags repeat":                 {found.NodeLabels, []string{"a=b", "c=d"}},
		"a toggle needs no value":      {found.Cluster.SecretsEncryption, true},
		"a file of the folder counts":  {found.ClusterInit, true},
		"a mode without quotes":        {found.KubeconfigMod, os.FileMode(0o644)},
		"the default of cluster-dns":   {found.Cluster.ClusterDNS, "10.43.0.10"},
		"the default of flannel":       {found.Cluster.FlannelBackend, "vxlan"},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s: found %v, wanted %v", name, pair[0], pair[1])
		}
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
