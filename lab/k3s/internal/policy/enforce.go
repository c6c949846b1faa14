package policy

import (
	"context"
	"log"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"metalworks/lab/k3s/internal/nft"
	"metalworks/lab/k3s/internal/poke"
)

// gather is how long events are gathered before the rules are written: pods often come in groups.
const gather = 20 * time.Millisecond

// Enforce keeps this node's rules as the API describes them, until the context ends. The rules stay.
func Enforce(ctx context.Context, client kubernetes.Interface, node string) {
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTransform(slim))
	pods := factory.Core().V1().Pods().Informer()
	namespaces := factory.Core().V1().Namespaces().Informer()
	policies := factory.Networking().V1().NetworkPolicies().Informer()
	changed := poke.New()
	for _, informer := range []cache.SharedIndexInformer{pods, namespaces, policies} {
		if _, err := informer.AddEventHandler(poking(changed)); err != nil {
			log.Printf("network policy: %v", err)
			return
		}
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	last := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
			time.Sleep(gather)
		}
		rules := Compile(look(node, pods.GetStore(), namespaces.GetStore(), policies.GetStore()))
		if rules == last {
			continue
		}
		if err := nft.Apply(rules); err != nil {
			log.Printf("network policy: %v", err)
			time.AfterFunc(time.Second, changed.Poke)
			continue
		}
		last = rules
	}
}

// Remove takes the rules of an earlier start out.
func Remove() error { return nft.Apply(nft.Replace(table)) }

func look(node string, pods, namespaces, policies cache.Store) World {
	world := World{Node: node, Namespaces: map[string]map[string]string{}}
	for _, item := range pods.List() {
		world.Pods = append(world.Pods, item.(*corev1.Pod))
	}
	for _, item := range namespaces.List() {
		namespace := item.(*corev1.Namespace)
		world.Namespaces[namespace.Name] = namespace.Labels
	}
	for _, item := range policies.List() {
		world.Policies = append(world.Policies, item.(*networkingv1.NetworkPolicy))
	}
	return world
}

func poking(changed poke.Channel) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { changed.Poke() },
		DeleteFunc: func(any) { changed.Poke() },
		UpdateFunc: func(any, any) { changed.Poke() },
	}
}

// slim keeps of a pod only what the rules need: a node looks at every pod of the cluster.
func slim(item any) (any, error) {
	pod, ok := item.(*corev1.Pod)
	if !ok {
		return item, nil
	}
	kept := &corev1.Pod{}
	kept.Name, kept.Namespace, kept.UID = pod.Name, pod.Namespace, pod.UID
	kept.ResourceVersion, kept.Labels = pod.ResourceVersion, pod.Labels
	kept.Spec.NodeName, kept.Spec.HostNetwork = pod.Spec.NodeName, pod.Spec.HostNetwork
	for _, container := range pod.Spec.Containers {
		kept.Spec.Containers = append(kept.Spec.Containers, corev1.Container{Ports: container.Ports})
	}
	kept.Status.Phase, kept.Status.PodIP = pod.Status.Phase, pod.Status.PodIP
	return kept, nil
}
