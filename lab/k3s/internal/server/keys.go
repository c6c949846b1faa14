package server

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"metalworks/lab/k3s/internal/config"
	"metalworks/lab/k3s/internal/layout"
	"metalworks/lab/k3s/internal/pki"
)

// Files of the control plane.
func servingPrefix() string       { return layout.TLS("serving-kube-apiserver") }
func publicServiceKey() string    { return layout.TLS("service.pub") }
func adminKubeconfig() string     { return layout.Credentials("admin.kubeconfig") }
func managerKubeconfig() string   { return layout.Credentials("controller.kubeconfig") }
func schedulerKubeconfig() string { return layout.Credentials("scheduler.kubeconfig") }
func encryptionConfig() string    { return layout.Credentials("encryption-config.json") }

// authorities are the CAs, by the name of their files below the TLS folder.
var authorities = map[string]string{
	"server-ca":         "k3s-server-ca",
	"client-ca":         "k3s-client-ca",
	"request-header-ca": "k3s-request-header-ca",
	"etcd/server-ca":    "etcd-server-ca",
	"etcd/peer-ca":      "etcd-peer-ca",
}

// sharedFiles are what all servers have in common, below the server's folder. A joining server receives them.
func sharedFiles(cluster config.Cluster) []string {
	files := []string{"tls/service.key"}
	for name := range authorities {
		files = append(files, "tls/"+name+".crt", "tls/"+name+".key")
	}
	if cluster.SecretsEncryption {
		files = append(files, "cred/encryption-config.json")
	}
	return files
}

// makeKeys makes what is missing of the cluster's keys, and returns the CAs.
func makeKeys(s *config.Settings) (map[string]*pki.CA, error) {
	cas := map[string]*pki.CA{}
	for name, title := range authorities {
		ca, err := pki.LoadOrMakeCA(layout.TLS(name), title)
		if err != nil {
			return nil, err
		}
		cas[name] = ca
	}
	if err := makeServiceKey(); err != nil {
		return nil, err
	}
	for _, leaf := range leaves(s) {
		if err := cas[leaf.ca].Ensure(layout.TLS(leaf.file), leaf.subject); err != nil {
			return nil, err
		}
	}
	if s.Cluster.SecretsEncryption {
		if err := makeEncryptionConfig(); err != nil {
			return nil, err
		}
	}
	return cas, writeKubeconfigs(s, cas["server-ca"].PEM)
}

type leaf struct {
	ca, file string
	subject  pki.Subject
}

func leaves(s *config.Settings) []leaf {
	client := func(name string, groups ...string) pki.Subject {
		return pki.Subject{Name: name, Groups: groups, Client: true}
	}
	local := []string{"localhost", "127.0.0.1", s.NodeName, s.NodeIP}
	services := netip.MustParsePrefix(s.Cluster.ServiceCIDR)
	names := append([]string{
		"kubernetes", "kubernetes.default", "kubernetes.default.svc",
		"kubernetes.default.svc." + s.Cluster.ClusterDomain, services.Addr().Next().String(),
	}, local...)
	return []leaf{
		{"client-ca", "client-admin", client("system:admin", "system:masters")},
		{"client-ca", "client-controller", client("system:kube-controller-manager")},
		{"client-ca", "client-scheduler", client("system:kube-scheduler")},
		{"client-ca", "client-kube-apiserver", client("system:apiserver", "system:masters")},
		{"request-header-ca", "client-auth-proxy", client("system:auth-proxy")},
		{"server-ca", "serving-kube-apiserver", pki.Subject{
			Name: "kube-apiserver", Hosts: append(names, s.TLSSAN...), Server: true,
		}},
		{"etcd/server-ca", "etcd/server-client", pki.Subject{
			Name: "etcd-server", Hosts: local, Server: true, Client: true,
		}},
		{"etcd/peer-ca", "etcd/peer-server-client", pki.Subject{
			Name: "etcd-peer", Hosts: local, Server: true, Client: true,
		}},
		{"etcd/server-ca", "etcd/client", client("etcd-client")},
	}
}

// makeServiceKey makes the key that signs the tokens of service accounts, and its public half.
func makeServiceKey() error {
	key, err := pki.LoadOrMakeKey(layout.TLS("service.key"))
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	return pki.WriteFile(publicServiceKey(), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o644)
}

func makeEncryptionConfig() error {
	if _, err := os.Stat(encryptionConfig()); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	content := fmt.Appendf(nil, `{"kind": "EncryptionConfiguration", "apiVersion": "apiserver.config.k8s.io/v1",
 "resources": [{"resources": ["secrets"], "providers": [
  {"aescbc": {"keys": [{"name": "aescbckey", "secret": "%s"}]}}, {"identity": {}}]}]}
`, base64.StdEncoding.EncodeToString(key))
	return pki.WriteFile(encryptionConfig(), content, 0o600)
}

func writeKubeconfigs(s *config.Settings, ca []byte) error {
	local := fmt.Sprintf("https://127.0.0.1:%d", s.LocalPort)
	for path, client := range map[string]string{
		adminKubeconfig():     "client-admin",
		managerKubeconfig():   "client-controller",
		schedulerKubeconfig(): "client-scheduler",
	} {
		if err := pki.WriteKubeconfig(path, local, layout.TLS("server-ca.crt"), layout.TLS(client)); err != nil {
			return err
		}
	}
	if err := os.MkdirAll("/etc/rancher/k3s", 0o755); err != nil {
		return err
	}
	public := fmt.Sprintf("https://127.0.0.1:%d", s.PublicPort)
	return pki.WriteEmbeddedKubeconfig(layout.Kubeconfig, public, ca, layout.TLS("client-admin"), s.KubeconfigMod)
}
