package server

import (
	"fmt"
	"strconv"

	"metalworks/lab/k3s/internal/agent"
	"metalworks/lab/k3s/internal/config"
	"metalworks/lab/k3s/internal/layout"
)

func apiServerArguments(s *config.Settings) []string {
	arguments := []string{
		"--advertise-address=" + s.NodeIP,
		"--allow-privileged=true",
		"--anonymous-auth=false",
		"--api-audiences=https://kubernetes.default.svc." + s.Cluster.ClusterDomain + ",k3s",
		"--authorization-mode=Node,RBAC",
		"--bind-address=127.0.0.1",
		"--client-ca-file=" + layout.TLS("client-ca.crt"),
		"--enable-admission-plugins=NodeRestriction",
		"--enable-aggregator-routing=true",
		"--etcd-cafile=" + layout.TLS("etcd/server-ca.crt"),
		"--etcd-certfile=" + layout.TLS("etcd/client.crt"),
		"--etcd-keyfile=" + layout.TLS("etcd/client.key"),
		fmt.Sprintf("--etcd-servers=https://127.0.0.1:%d", layout.EtcdClient),
		"--kubelet-certificate-authority=" + layout.TLS("server-ca.crt"),
		"--kubelet-client-certificate=" + layout.TLS("client-kube-apiserver.crt"),
		"--kubelet-client-key=" + layout.TLS("client-kube-apiserver.key"),
		"--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
		"--profiling=false",
		"--proxy-client-cert-file=" + layout.TLS("client-auth-proxy.crt"),
		"--proxy-client-key-file=" + layout.TLS("client-auth-proxy.key"),
		"--requestheader-allowed-names=system:auth-proxy",
		"--requestheader-client-ca-file=" + layout.TLS("request-header-ca.crt"),
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-username-headers=X-Remote-User",
		"--secure-port=" + strconv.Itoa(s.LocalPort),
		"--service-account-issuer=https://kubernetes.default.svc." + s.Cluster.ClusterDomain,
		"--service-account-key-file=" + publicServiceKey(),
		"--service-account-signing-key-file=" + layout.TLS("service.key"),
		"--service-cluster-ip-range=" + s.Cluster.ServiceCIDR,
		"--service-node-port-range=" + s.NodePorts,
		"--tls-cert-file=" + servingPrefix() + ".crt",
		"--tls-private-key-file=" + servingPrefix() + ".key",
	}
	if s.Cluster.SecretsEncryption {
		arguments = append(arguments, "--encryption-provider-config="+encryptionConfig())
	}
	return append(arguments, agent.Flags(s.APIServerArgs)...)
}

func managerArguments(s *config.Settings, several bool) []string {
	arguments := []string{
		"--allocate-node-cidrs=true",
		"--bind-address=127.0.0.1",
		"--cluster-cidr=" + s.Cluster.ClusterCIDR,
		"--service-cluster-ip-range=" + s.Cluster.ServiceCIDR,
		"--cluster-signing-kube-apiserver-client-cert-file=" + layout.TLS("client-ca.crt"),
		"--cluster-signing-kube-apiserver-client-key-file=" + layout.TLS("client-ca.key"),
		"--cluster-signing-kubelet-client-cert-file=" + layout.TLS("client-ca.crt"),
		"--cluster-signing-kubelet-client-key-file=" + layout.TLS("client-ca.key"),
		"--cluster-signing-kubelet-serving-cert-file=" + layout.TLS("server-ca.crt"),
		"--cluster-signing-kubelet-serving-key-file=" + layout.TLS("server-ca.key"),
		"--cluster-signing-legacy-unknown-cert-file=" + layout.TLS("server-ca.crt"),
		"--cluster-signing-legacy-unknown-key-file=" + layout.TLS("server-ca.key"),
		"--controllers=*,tokencleaner,-service-lb-controller,-node-route-controller,-cloud-node-lifecycle-controller",
		"--profiling=false",
		"--root-ca-file=" + layout.TLS("server-ca.crt"),
		"--service-account-private-key-file=" + layout.TLS("service.key"),
		"--use-service-account-credentials=true",
	}
	arguments = append(arguments, controllerArguments(managerKubeconfig(), several)...)
	return append(arguments, agent.Flags(s.ManagerArgs)...)
}

func schedulerArguments(s *config.Settings, several bool) []string {
	arguments := append([]string{"--bind-address=127.0.0.1", "--profiling=false"},
		controllerArguments(schedulerKubeconfig(), several)...)
	return append(arguments, agent.Flags(s.SchedulerArgs)...)
}

// controllerArguments: a server that is alone need not be elected, and so works at once after a restart.
func controllerArguments(kubeconfig string, several bool) []string {
	return []string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--leader-elect=" + strconv.FormatBool(several),
		// With the usual 20 requests a second the controllers of a new cluster take five seconds to start.
		"--kube-api-qps=200", "--kube-api-burst=400",
	}
}
