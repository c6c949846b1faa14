// Package network gives pods their addresses, and nodes the way to each other's pods: what k3s calls host-gw.
package network

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metalworks/lab/k3s/internal/config"
)

// routeProtocol marks the routes that are ours (`ip route` shows it as proto 157), so that no other is touched.
const routeProtocol = "157"

const conflist = `{"cniVersion": "0.4.0", "name": "cbr0", "plugins": [
  {"type": "ptp", "ipMasq": false, "mtu": 1500, "ipam": {"type": "host-local", "ranges": [[{"subnet": "%s"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}
]}
`

// Watch keeps the CNI configuration and the routes of this node as the nodes of the API say. The routes leave through
// the given interface; without one the machine's own routes say which.
func Watch(ctx context.Context, client kubernetes.Interface, self, folder string, cluster config.Cluster, through string) {
	factory := informers.NewSharedInformerFactory(client, 0)
	nodes := factory.Core().V1().Nodes()
	changed := make(chan struct{}, 1) // one look is due, for any number of events
	look := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	_, err := nodes.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { look() },
		DeleteFunc: func(any) { look() },
		UpdateFunc: func(before, after any) {
			if gateway(before.(*corev1.Node)) != gateway(after.(*corev1.Node)) {
				look()
			}
		},
	})
	if err != nil {
		log.Printf("network: %v", err)
		return
	}
	factory.Start(ctx.Done())
	if err := translate(cluster); err != nil {
		log.Printf("network: %v", err)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		list := nodes.Informer().GetStore().List()
		if err := settle(self, folder, through, list); err != nil {
			log.Printf("network: %v", err)
			time.AfterFunc(time.Second, look)
		}
	}
}

// translate lets pods reach the world as their node, and each other as themselves. A Service without endpoints has no
// translation, and kube-router lets the packet go before kube-proxy rejects it: it would leave the node for whoever
// answers for any address. nftables replaces the table of an earlier start by this one in one step.
func translate(cluster config.Cluster) error {
	command := exec.Command("nft", "-f", "-")
	command.Stdin = strings.NewReader(fmt.Sprintf(`add table ip k3s-network
delete table ip k3s-network
table ip k3s-network {
	chain postrouting {
		type nat hook postrouting priority 90; policy accept;
		ip saddr %[1]s ip daddr != %[1]s ip daddr != 224.0.0.0/4 counter masquerade fully-random
	}
	chain forward {
		type filter hook forward priority 10; policy accept;
		ip saddr %[1]s ip daddr %[2]s counter drop
	}
}
`, cluster.ClusterCIDR, cluster.ServiceCIDR))
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, output)
	}
	return nil
}

// gateway is the way to a node's pods: its network and address.
func gateway(node *corev1.Node) [2]string {
	for _, address := range node.Status.Addresses {
		if address.Type == corev1.NodeInternalIP {
			return [2]string{node.Spec.PodCIDR, address.Address}
		}
	}
	return [2]string{node.Spec.PodCIDR, ""}
}

func settle(self, folder, through string, nodes []any) error {
	wanted := map[string]string{}
	for _, item := range nodes {
		node := item.(*corev1.Node)
		way := gateway(node)
		switch {
		case way[0] == "":
		case node.Name == self:
			if err := writeConflist(folder, way[0]); err != nil {
				return err
			}
		case way[1] != "":
			wanted[way[0]] = way[1]
		}
	}
	return setRoutes(wanted, through)
}

func writeConflist(folder, subnet string) error {
	path := filepath.Join(folder, "10-flannel.conflist")
	content := fmt.Sprintf(conflist, subnet)
	if found, err := os.ReadFile(path); err == nil && string(found) == content {
		return nil
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func setRoutes(wanted map[string]string, through string) error {
	output, err := exec.Command("ip", "-4", "route", "show", "proto", routeProtocol).Output()
	if err != nil {
		return fmt.Errorf("ip route show: %w", err)
	}
	for line := range strings.Lines(string(output)) {
		fields := strings.Fields(line)
		if len(fields) > 2 && wanted[fields[0]] == "" {
			if err := ip("route", "del", fields[0], "proto", routeProtocol); err != nil {
				return err
			}
		}
	}
	for subnet, via := range wanted {
		way := []string{"route", "replace", subnet, "via", via, "proto", routeProtocol}
		if through != "" {
			way = append(way, "dev", through)
		}
		if err := ip(way...); err != nil {
			return err
		}
	}
	return nil
}

func ip(arguments ...string) error {
	if output, err := exec.Command("ip", append([]string{"-4"}, arguments...)...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(arguments, " "), err, output)
	}
	return nil
}

// WatchServers tells which servers the cluster has, as HOST:PORT, whenever that changes.
func WatchServers(ctx context.Context, client kubernetes.Interface, tell func([]string) error) {
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0,
		informers.WithNamespace(metav1.NamespaceDefault),
		informers.WithTweakListOptions(func(options *metav1.ListOptions) {
			options.FieldSelector = fields.OneTermEqualSelector("metadata.name", "kubernetes").String()
		}))
	report := func(item any) {
		if slice, ok := item.(*discoveryv1.EndpointSlice); ok {
			if err := tell(addresses(slice)); err != nil {
				log.Printf("servers: %v", err)
			}
		}
	}
	_, err := factory.Discovery().V1().EndpointSlices().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    report,
		UpdateFunc: func(_, after any) { report(after) },
	})
	if err != nil {
		log.Printf("servers: %v", err)
		return
	}
	factory.Start(ctx.Done())
	<-ctx.Done()
}

func addresses(slice *discoveryv1.EndpointSlice) []string {
	var found []string
	for _, port := range slice.Ports {
		for _, endpoint := range slice.Endpoints {
			for _, address := range endpoint.Addresses {
				if port.Port != nil {
					found = append(found, fmt.Sprintf("%s:%d", address, *port.Port))
				}
			}
		}
	}
	slices.Sort(found)
	return found
}
