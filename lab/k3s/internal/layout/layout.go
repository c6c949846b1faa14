// Package layout names the files, sockets and ports of k3s's contract, and those of the stand-in behind them.
package layout

import "path/filepath"

// Files of the contract that lie at one place whatever data-dir is.
const (
	ConfigFile       = "/etc/rancher/k3s/config.yaml"
	RegistriesFile   = "/etc/rancher/k3s/registries.yaml"
	Kubeconfig       = "/etc/rancher/k3s/k3s.yaml"
	NodePassword     = "/etc/rancher/node/password"
	ContainerdSocket = "/run/k3s/containerd/containerd.sock"
	DefaultDataDir   = "/var/lib/rancher/k3s"
)

// dataDir is the root of everything else. It is settled once, before anything reads or writes (UseDataDir).
var dataDir = DefaultDataDir

// UseDataDir puts all files of k3s below this folder, as the key data-dir does. Go tests give a folder of their own.
func UseDataDir(folder string) { dataDir = folder }

// Data returns a path below the data folder.
func Data(parts ...string) string { return below(dataDir, parts) }

// Server returns a path below the folder of a server: its datastore, keys, tokens and manifests.
func Server(parts ...string) string { return below(filepath.Join(dataDir, "server"), parts) }

// Agent returns a path below the folder of a node: its containerd, certificates and images.
func Agent(parts ...string) string { return below(filepath.Join(dataDir, "agent"), parts) }

// TLS returns a path below the folder of the server's keys and certificates.
func TLS(parts ...string) string { return below(Server("tls"), parts) }

// Credentials returns a path below the folder of the control plane's kubeconfigs.
func Credentials(parts ...string) string { return below(Server("cred"), parts) }

// ProgramFolder holds the programs that k3s carries.
func ProgramFolder() string { return Data("data", "current", "bin") }

// TokenFile holds the token in its long form.
func TokenFile() string { return Server("token") }

// ManifestFolder holds the manifests that a server keeps applied.
func ManifestFolder() string { return Server("manifests") }

// EtcdFolder returns a path below the data folder of the embedded etcd.
func EtcdFolder(parts ...string) string { return below(Server("db", "etcd"), parts) }

// ImageFolder holds the archives of images that a node imports.
func ImageFolder() string { return Agent("images") }

// StorageFolder is where the storage provisioner puts volumes.
func StorageFolder() string { return Data("storage") }

func below(folder string, parts []string) string {
	return filepath.Join(append([]string{folder}, parts...)...)
}

// Ports.
const (
	PublicPort  = 6443 // the default of https-listen-port: Kubernetes API and supervisor, on every server
	BalancePort = 6444 // on 127.0.0.1 of an agent: the load balancer in front of all servers
	EtcdClient  = 2379
	EtcdPeer    = 2380
)

// PublicPortVariable tells kube-apiserver, a child of the launcher, which port it has for the world.
const PublicPortVariable = "STAND_IN_HTTPS_LISTEN_PORT"

// SupervisorProtocol is the TLS application protocol by which a connection to the public port asks for the supervisor.
const SupervisorProtocol = "k3s-supervisor"

// ImageBase is what the names of the bundled components' images begin with. They come with the air-gap archive, never
// from a registry.
const ImageBase = "metalworks.local/lab/"

// The versions of the bundled components' images; build.py sets them to those of artifacts.yml.
var (
	PauseVersion       = "unknown"
	CoreDNSVersion     = "unknown"
	ProvisionerVersion = "unknown"
	MetricsVersion     = "unknown"
	BusyboxVersion     = "unknown"
)

// Images returns the bundled components' images by the name that the manifests use.
func Images() map[string]string {
	return map[string]string{
		"Pause":       ImageBase + "pause:" + PauseVersion,
		"CoreDNS":     ImageBase + "coredns:" + CoreDNSVersion,
		"Provisioner": ImageBase + "local-path-provisioner:" + ProvisionerVersion,
		"Metrics":     ImageBase + "metrics-server:" + MetricsVersion,
		"Tools":       ImageBase + "busybox:" + BusyboxVersion,
	}
}

// Labels of images that may not be collected, and the namespace of containerd in which the kubelet's images are.
const (
	PinnedLabel   = "io.cri-containerd.pinned" // containerd's: the kubelet is told that the image is pinned
	OwnPinLabel   = "io.cattle.k3s.pinned"     // k3s's: the pin is k3s's own, and taken off again at its next start
	PinnedValue   = "pinned"
	ImagesOnNodes = "k8s.io"
)
