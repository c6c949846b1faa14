package agent

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/url"
	"strings"
	"time"

	"k8s.io/client-go/kubernetes"

	"metalworks/lab/k3s/internal/config"
	"metalworks/lab/k3s/internal/kube"
	"metalworks/lab/k3s/internal/layout"
	"metalworks/lab/k3s/internal/notify"
	"metalworks/lab/k3s/internal/policy"
	"metalworks/lab/k3s/internal/process"
	"metalworks/lab/k3s/internal/relay"
	"metalworks/lab/k3s/internal/supervisor"
	"metalworks/lab/k3s/internal/token"
)

const grace = 2 * time.Second

// HostPort is the address in `server: https://HOST:PORT`.
func HostPort(server string) (string, error) {
	parsed, err := url.Parse(server)
	if err != nil {
		return "", err
	}
	if parsed.Port() == "" {
		return net.JoinHostPort(parsed.Hostname(), fmt.Sprint(layout.PublicPort)), nil
	}
	return parsed.Host, nil
}

// Run is `k3s agent`, until the context ends or a component does.
func Run(ctx context.Context, s *config.Settings) error {
	children := process.NewGroup()
	defer Stop(children)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go process.CancelOnEnd(ctx, children, cancel)
	if err := start(ctx, s, children); err != nil {
		return process.Reason(ctx, err)
	}
	<-ctx.Done()
	return process.Reason(ctx, nil)
}

// Stop ends a node's components. The pods run on: their shims are not children of the launcher.
func Stop(children *process.Group) {
	children.Stop(grace, []string{"kubelet", "kube-proxy"}, []string{"containerd"})
}

func start(ctx context.Context, s *config.Settings, children *process.Group) error {
	given, err := token.Parse(s.Token)
	if err != nil {
		return err
	}
	configured, err := HostPort(s.Server)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", s.LocalPort))
	if err != nil {
		return err
	}
	balancer := relay.NewBalancer(layout.Agent("etc", "k3s-agent-load-balancer.json"), configured)
	go balancer.Serve(listener)
	images := make(chan error, 1)
	go func() { images <- StartContainerd(ctx, s, children) }()

	client := supervisor.NewClient(listener.Addr().String(), "node", given)
	cluster, err := Join(ctx, s, client.Node)
	if err != nil {
		return err
	}
	if err := <-images; err != nil {
		return err
	}
	return Start(ctx, s, cluster, children, balancer.SetServers)
}

// Start brings a joined node up and says READY when its kubelet has registered it.
func Start(
	ctx context.Context, s *config.Settings, cluster config.Cluster, children *process.Group, servers func([]string) error,
) error {
	resolver, err := podResolver(s)
	if err != nil {
		return err
	}
	if err := ServeDNS(s.NodeIP, resolver); err != nil {
		return err
	}
	if err := StartKubelet(s, cluster, children); err != nil {
		return err
	}
	if err := startNetwork(ctx, s, cluster, servers); err != nil {
		return err
	}
	if err := kube.WaitKubelet(ctx); err != nil {
		return err
	}
	client, err := kube.Client(controllerKubeconfig())
	if err != nil {
		return err
	}
	if err := kube.WaitNode(ctx, client, s.NodeName); err != nil {
		return err
	}
	if err := policy.Start(ctx, client, s, cluster); err != nil {
		return err
	}
	go labelNode(ctx, client, s)
	return notify.Ready()
}

// labelNode gives a node that is registered the labels of its configuration, as k3s does at every start: the kubelet
// sets them at registration only. Labels that the configuration no longer names stay, and so do taints.
func labelNode(ctx context.Context, client kubernetes.Interface, s *config.Settings) {
	labels := map[string]string{}
	for _, label := range s.NodeLabels {
		name, value, _ := strings.Cut(label, "=")
		labels[name] = value
	}
	if len(labels) == 0 {
		return
	}
	if err := kube.LabelNode(ctx, client, s.NodeName, labels); err != nil && ctx.Err() == nil {
		log.Printf("labels of the node: %v", err)
	}
}
