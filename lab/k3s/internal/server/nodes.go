package server

import (
	"context"
	"log"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// watchNodes cleans up after a node that is deleted: its password, so that its name is free again, and its place in
// the datastore.
func (l *launcher) watchNodes(ctx context.Context) {
	factory := informers.NewSharedInformerFactory(l.client, 0)
	_, err := factory.Core().V1().Nodes().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		DeleteFunc: func(item any) {
			if node, ok := item.(*corev1.Node); ok {
				go l.forget(ctx, node)
			}
		},
	})
	if err != nil {
		log.Printf("watching nodes: %v", err)
		return
	}
	factory.Start(ctx.Done())
}

func (l *launcher) forget(ctx context.Context, node *corev1.Node) {
	err := l.client.CoreV1().Secrets("kube-system").Delete(ctx, node.Name+".node-password.k3s", metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		log.Printf("password of the deleted node %s: %v", node.Name, err)
	}
	if _, isMember := node.Labels["node-role.kubernetes.io/etcd"]; !isMember || node.Name == l.settings.NodeName {
		return
	}
	for _, address := range node.Status.Addresses {
		if address.Type != corev1.NodeInternalIP {
			continue
		}
		if err := l.members.RemoveNode(ctx, node.Name, address.Address); err != nil {
			log.Printf("datastore member of the deleted node %s: %v", node.Name, err)
		}
	}
}
