// Package policy enforces NetworkPolicies on the pods of this node with nftables.
package policy

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"metalworks/lab/k3s/internal/nft"
)

const table = "k3s-policy"

// World is all that the rules of a node follow from.
type World struct {
	Node       string
	Pods       []*corev1.Pod
	Namespaces map[string]map[string]string // labels by name
	Policies   []*networkingv1.NetworkPolicy
}

// direction is one side of the traffic of a selected pod.
type direction struct {
	name       string // of the chains
	own, other string // how nftables calls the pod's own address, and that of its peer
	kind       networkingv1.PolicyType
}

var (
	ingress = direction{"ingress", "daddr", "saddr", networkingv1.PolicyTypeIngress}
	egress  = direction{"egress", "saddr", "daddr", networkingv1.PolicyTypeEgress}
)

// rule is what ingress and egress rules of the API have in common.
type rule struct {
	peers []networkingv1.NetworkPolicyPeer
	ports []networkingv1.NetworkPolicyPort
}

// Compile writes the whole table. nftables replaces the old one by it in one step.
//
// A pod that a policy selects has a chain for each direction it is isolated in: what a rule allows returns from the
// chain, the rest is dropped. Both ends count, so a packet passes the sender's chain and then the receiver's.
// Services need no rule: their addresses have been replaced by those of pods before this hook.
func Compile(w World) string {
	var chains, jumps strings.Builder
	isolated := map[string][]string{}
	for _, pod := range w.selectable() {
		for _, way := range []direction{ingress, egress} {
			lines, selected := w.allowed(pod, way)
			if !selected {
				continue
			}
			address := pod.Status.PodIP
			chain := way.name + "-" + address
			isolated[way.name] = append(isolated[way.name], fmt.Sprintf("%s : jump %s", address, chain))
			fmt.Fprintf(&chains, "\tchain %s {\n\t\tcomment \"%s/%s\"\n", chain, pod.Namespace, pod.Name)
			fmt.Fprintf(&chains, "\t\tip %s %s return\n", way.other, address) // no policy keeps a pod from itself
			for _, line := range lines {
				fmt.Fprintf(&chains, "\t\t%s return\n", line)
			}
			chains.WriteString("\t\tcounter drop\n\t}\n")
		}
	}
	for _, hook := range []struct {
		name string
		ways []direction
	}{{"forward", []direction{egress, ingress}}, {"input", []direction{egress}}} { // a pod may also call its own node
		fmt.Fprintf(&jumps, "\tchain %s {\n\t\ttype filter hook %s priority 5; policy accept;\n", hook.name, hook.name)
		jumps.WriteString("\t\tct state established,related accept\n")
		for _, way := range hook.ways {
			if entries := isolated[way.name]; len(entries) > 0 {
				fmt.Fprintf(&jumps, "\t\tip %s vmap { %s }\n", way.own, strings.Join(entries, ", "))
			}
		}
		jumps.WriteString("\t}\n")
	}
	return nft.Replace(table) + fmt.Sprintf("table ip %s {\n%s%s}\n", table, chains.String(), jumps.String())
}

// hasAddress tells whether a pod has an address of its own that is in use.
func hasAddress(pod *corev1.Pod) bool {
	address, err := netip.ParseAddr(pod.Status.PodIP)
	return err == nil && address.Is4() && !pod.Spec.HostNetwork &&
		pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed
}

// selectable are the pods of this node, in an order that does not change.
func (w World) selectable() []*corev1.Pod {
	var found []*corev1.Pod
	for _, pod := range w.Pods {
		if pod.Spec.NodeName == w.Node && hasAddress(pod) {
			found = append(found, pod)
		}
	}
	slices.SortFunc(found, func(a, b *corev1.Pod) int {
		return cmp.Or(strings.Compare(a.Status.PodIP, b.Status.PodIP), strings.Compare(string(a.UID), string(b.UID)))
	})
	// While a pod ends its address may be given anew; a map with an address twice would be refused as a whole.
	return slices.CompactFunc(found, func(a, b *corev1.Pod) bool { return a.Status.PodIP == b.Status.PodIP })
}

// allowed returns the matches that the policies allow a pod in one direction, and whether any isolates it there.
func (w World) allowed(pod *corev1.Pod, way direction) (lines []string, selected bool) {
	for _, policy := range w.Policies {
		if policy.Namespace != pod.Namespace || !slices.Contains(types(policy), way.kind) ||
			!matches(&policy.Spec.PodSelector, pod.Labels) {
			continue
		}
		selected = true
		for _, each := range rules(policy, way) {
			lines = append(lines, w.lines(pod, policy.Namespace, way, each)...)
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines), selected
}

// types are the directions a policy isolates; ingress if it does not say, and egress if it has such rules.
func types(policy *networkingv1.NetworkPolicy) []networkingv1.PolicyType {
	if len(policy.Spec.PolicyTypes) > 0 {
		return policy.Spec.PolicyTypes
	}
	if len(policy.Spec.Egress) > 0 {
		return []networkingv1.PolicyType{ingress.kind, egress.kind}
	}
	return []networkingv1.PolicyType{ingress.kind}
}

func rules(policy *networkingv1.NetworkPolicy, way direction) []rule {
	var found []rule
	if way.kind == ingress.kind {
		for _, each := range policy.Spec.Ingress {
			found = append(found, rule{each.From, each.Ports})
		}
		return found
	}
	for _, each := range policy.Spec.Egress {
		found = append(found, rule{each.To, each.Ports})
	}
	return found
}

func matches(selector *metav1.LabelSelector, found map[string]string) bool {
	compiled, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && compiled.Matches(labels.Set(found)) // the API lets no invalid selector in
}

// lines are the matches of one rule: every kind of peer with every port.
func (w World) lines(pod *corev1.Pod, namespace string, way direction, each rule) []string {
	var peers []string // matches of the peer's address; "" is everybody
	var pods []*corev1.Pod
	if len(each.peers) == 0 {
		peers = []string{""}
	}
	for _, peer := range each.peers {
		if peer.IPBlock != nil && strings.Contains(peer.IPBlock.CIDR, ":") {
			continue // the cluster speaks IPv4 only
		}
		if peer.IPBlock != nil {
			peers = append(peers, block(way, peer.IPBlock))
		} else {
			pods = append(pods, w.peers(namespace, peer)...)
		}
	}
	if len(pods) > 0 {
		peers = append(peers, addresses(way, pods))
	}
	if len(each.peers) == 0 {
		pods = slices.DeleteFunc(slices.Clone(w.Pods), func(pod *corev1.Pod) bool { return !hasAddress(pod) })
	}
	if len(each.ports) == 0 {
		return joined(peers, "")
	}
	var lines []string
	for _, port := range each.ports {
		switch {
		case port.Port == nil || port.Port.Type == intstr.Int:
			lines = append(lines, joined(peers, number(port))...)
		case way.kind == ingress.kind: // a name is that of a port of the receiver
			if found, ok := named(pod, port); ok {
				lines = append(lines, joined(peers, found)...)
			}
		default:
			for _, receiver := range pods {
				if found, ok := named(receiver, port); ok {
					lines = append(lines, joined([]string{addresses(way, []*corev1.Pod{receiver})}, found)...)
				}
			}
		}
	}
	return lines
}

// joined puts each peer's match before the port's; a rule without either still needs a statement.
func joined(peers []string, port string) []string {
	var lines []string
	for _, peer := range peers {
		lines = append(lines, strings.TrimSpace(strings.TrimSpace(peer+" "+port)+" counter"))
	}
	return lines
}

// peers are the pods that a peer of a rule means.
func (w World) peers(namespace string, peer networkingv1.NetworkPolicyPeer) []*corev1.Pod {
	var found []*corev1.Pod
	for _, pod := range w.Pods {
		if !hasAddress(pod) {
			continue
		}
		if peer.NamespaceSelector == nil && pod.Namespace != namespace {
			continue
		}
		if peer.NamespaceSelector != nil && !matches(peer.NamespaceSelector, w.Namespaces[pod.Namespace]) {
			continue
		}
		if peer.PodSelector == nil || matches(peer.PodSelector, pod.Labels) {
			found = append(found, pod)
		}
	}
	return found
}

func addresses(way direction, pods []*corev1.Pod) string {
	var found []string
	for _, pod := range pods {
		found = append(found, pod.Status.PodIP)
	}
	slices.Sort(found)
	return fmt.Sprintf("ip %s { %s }", way.other, strings.Join(slices.Compact(found), ", "))
}

func block(way direction, block *networkingv1.IPBlock) string {
	match := fmt.Sprintf("ip %s %s", way.other, block.CIDR)
	for _, except := range block.Except {
		match += fmt.Sprintf(" ip %s != %s", way.other, except)
	}
	return match
}

func protocol(port networkingv1.NetworkPolicyPort) string {
	if port.Protocol == nil {
		return "tcp"
	}
	return strings.ToLower(string(*port.Protocol))
}

func number(port networkingv1.NetworkPolicyPort) string {
	switch {
	case port.Port == nil:
		return "meta l4proto " + protocol(port)
	case port.EndPort != nil:
		return fmt.Sprintf("%s dport %d-%d", protocol(port), port.Port.IntVal, *port.EndPort)
	}
	return fmt.Sprintf("%s dport %d", protocol(port), port.Port.IntVal)
}

// named finds a port of a pod by its name.
func named(pod *corev1.Pod, port networkingv1.NetworkPolicyPort) (string, bool) {
	for _, container := range pod.Spec.Containers {
		for _, found := range container.Ports {
			spoken := strings.ToLower(string(found.Protocol))
			if spoken == "" {
				spoken = "tcp"
			}
			if found.Name == port.Port.StrVal && spoken == protocol(port) {
				return fmt.Sprintf("%s dport %d", spoken, found.ContainerPort), true
			}
		}
	}
	return "", false
}
