// Package layout names the files, sockets and ports of k3s's contract, and those of the stand-in behind them.
package layout

// Files of the contract.
const (
	ConfigFile       = "/etc/rancher/k3s/config.yaml"
	ConfigFolder     = "/etc/rancher/k3s/config.yaml.d"
	RegistriesFile   = "/etc/rancher/k3s/registries.yaml"
	Kubeconfig       = "/etc/rancher/k3s/k3s.yaml"
	NodePassword     = "/etc/rancher/node/password"
	DataDir          = "/var/lib/rancher/k3s"
	ServerDir        = DataDir + "/server"
	AgentDir         = DataDir + "/agent"
	ProgramFolder    = DataDir + "/data/current/bin"
	TokenFile        = ServerDir + "/token"
	NodeTokenFile    = ServerDir + "/node-token"
	ManifestFolder   = ServerDir + "/manifests"
	TLSFolder        = ServerDir + "/tls"
	CredFolder       = ServerDir + "/cred"
	EtcdFolder       = ServerDir + "/db/etcd"
	ImageFolder      = AgentDir + "/images"
	StorageFolder    = DataDir + "/storage"
	ContainerdSocket = "/run/k3s/containerd/containerd.sock"
)

// Ports.
const (
	PublicPort  = 6443 // Kubernetes API and supervisor, on every server
	LocalPort   = 6444 // on 127.0.0.1 of every node: kube-apiserver itself, or the load balancer in front of all
	EtcdClient  = 2379
	EtcdPeer    = 2380
	KubeletPort = 10250
)

// SupervisorProtocol is the TLS application protocol by which a connection to PublicPort asks for the supervisor.
const SupervisorProtocol = "k3s-supervisor"

// Images of the bundled components; they come with the air-gap archive, never from a registry.
const (
	ImageBase     = "metalworks.local/lab/"
	PauseImage    = ImageBase + "pause:3.10"
	CoreDNSImage  = ImageBase + "coredns:1.13.1"
	StorageImage  = ImageBase + "local-path-provisioner:0.0.30"
	MetricsImage  = ImageBase + "metrics-server:0.9.0"
	ToolsImage    = ImageBase + "busybox:1.35"
	PinnedLabel   = "io.cri-containerd.pinned"
	PinnedValue   = "pinned"
	ImagesOnNodes = "k8s.io" // containerd's namespace
)
