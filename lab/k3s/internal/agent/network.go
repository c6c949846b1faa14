package agent

import (
	"context"
	"fmt"
	"os"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metalworks/lab/k3s/internal/config"
	"metalworks/lab/k3s/internal/kube"
	"metalworks/lab/k3s/internal/network"
)

// startNetwork keeps the pods' network as the API describes it.
func startNetwork(ctx context.Context, s *config.Settings, cluster config.Cluster, servers func([]string) error) error {
	for _, setting := range []string{"net/ipv4/ip_forward", "net/ipv4/conf/all/forwarding"} {
		if err := writeSysctl(setting, "1"); err != nil {
			return err
		}
	}
	client, err := kube.Client(controllerKubeconfig())
	if err != nil {
		return err
	}
	// The right to look is one of the first manifests of a new cluster. Watches that are refused would pause for longer.
	err = kube.Until(ctx, func(ctx context.Context) bool {
		_, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{Limit: 1})
		return err == nil
	})
	if err != nil {
		return err
	}
	go network.Watch(ctx, client, s.NodeName, cniFolder(), cluster, s.FlannelIface)
	if servers != nil {
		go network.WatchServers(ctx, client, servers)
	}
	return nil
}

func writeSysctl(name, value string) error {
	path := "/proc/sys/" + name
	found, err := os.ReadFile(path)
	if err == nil && strings.TrimSpace(string(found)) == value {
		return nil
	}
	if err := os.WriteFile(path, []byte(value), 0o644); err != nil {
		return fmt.Errorf("%s must be %s: %w", path, value, err)
	}
	return nil
}
