// Package policy enforces NetworkPolicies on the pods of this node with kube-router's controller, as k3s does
// (pkg/agent/netpol/netpol.go there).
package policy

import (
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/cloudnativelabs/kube-router/v2/pkg/controllers/netpol"
	"github.com/cloudnativelabs/kube-router/v2/pkg/healthcheck"
	"github.com/cloudnativelabs/kube-router/v2/pkg/options"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"metalworks/lab/k3s/internal/config"
)

// Start enforces the policies until the context ends. The rules stay: pods outlive the service. Where policies are
// disabled it takes out the rules of an earlier start instead. The node must be registered, with its address.
func Start(ctx context.Context, client kubernetes.Interface, s *config.Settings, cluster config.Cluster) error {
	settings := options.NewKubeRouterConfig()
	settings.RunFirewall, settings.EnableIPv4 = true, true
	settings.ClusterIPCIDRs = []string{cluster.ServiceCIDR}
	settings.NodePortRange = s.NodePorts
	// Its HostnameOverride comes after a node that has the machine's hostname; later releases ask for it first.
	if err := os.Setenv("NODE_NAME", s.NodeName); err != nil {
		return err
	}
	tables, sets, err := netpol.NewIPTablesHandlers(settings)
	if err != nil {
		return fmt.Errorf("network policy: %w", err)
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	pods := factory.Core().V1().Pods().Informer()
	namespaces := factory.Core().V1().Namespaces().Informer()
	policies := factory.Networking().V1().NetworkPolicies().Informer()
	controller, err := netpol.NewNetworkPolicyController(
		client, settings, pods, policies, namespaces, &sync.Mutex{}, tables, sets)
	if err != nil {
		return fmt.Errorf("network policy: %w", err)
	}
	if cluster.DisableNetworkPolicy {
		controller.Cleanup()
		return nil
	}
	for informer, handler := range map[cache.SharedIndexInformer]cache.ResourceEventHandler{
		pods: controller.PodEventHandler, namespaces: controller.NamespaceEventHandler,
		policies: controller.NetworkPolicyEventHandler,
	} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return fmt.Errorf("network policy: %w", err)
		}
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	health, err := healthcheck.NewHealthController(settings)
	if err != nil {
		return fmt.Errorf("network policy: %w", err)
	}
	health.SetAlive()
	beats := make(chan *healthcheck.ControllerHeartbeat) // the controller waits until each of its beats is heard
	var running sync.WaitGroup
	running.Add(2)
	go health.RunCheck(beats, ctx.Done(), &running)
	go controller.Run(beats, ctx.Done(), &running)
	return nil
}
