package pki

import (
	"encoding/base64"
	"fmt"
	"os"
)

const pathsKubeconfig = `apiVersion: v1
kind: Config
clusters:
- {name: local, cluster: {server: "%s", certificate-authority: %s}}
users:
- {name: user, user: {client-certificate: %s.crt, client-key: %s.key}}
contexts:
- {name: default, context: {cluster: local, user: user}}
current-context: default
`

// WriteKubeconfig writes a kubeconfig that names the files of a client certificate.
func WriteKubeconfig(path, server, ca, clientPrefix string) error {
	return WriteFile(path, fmt.Appendf(nil, pathsKubeconfig, server, ca, clientPrefix, clientPrefix), 0o600)
}

const embeddedKubeconfig = `apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: %s
    server: %s
  name: default
contexts:
- context:
    cluster: default
    user: default
  name: default
current-context: default
kind: Config
users:
- name: default
  user:
    client-certificate-data: %s
    client-key-data: %s
`

// WriteEmbeddedKubeconfig writes a kubeconfig that holds its certificates, so that it can be copied to elsewhere.
func WriteEmbeddedKubeconfig(path, server string, ca []byte, clientPrefix string, mode os.FileMode) error {
	certificate, err := os.ReadFile(clientPrefix + ".crt")
	if err != nil {
		return err
	}
	key, err := os.ReadFile(clientPrefix + ".key")
	if err != nil {
		return err
	}
	text := base64.StdEncoding.EncodeToString
	return WriteFile(path, fmt.Appendf(nil, embeddedKubeconfig, text(ca), server, text(certificate), text(key)), mode)
}
