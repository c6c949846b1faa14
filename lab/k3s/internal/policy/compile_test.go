package policy

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

func pod(namespace, name, node, ip, app string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": app}},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{
			Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8081}, {Name: "dns", ContainerPort: 53, Protocol: "UDP"}},
		}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: ip},
	}
}

func world(t *testing.T, policy string) World {
	t.Helper()
	host := pod("web", "host", "here", "172.16.0.1", "hub")
	host.Spec.HostNetwork = true
	done := pod("web", "done", "here", "10.42.0.9", "hub")
	done.Status.Phase = corev1.PodSucceeded
	w := World{
		Node: "here",
		Pods: []*corev1.Pod{
			pod("web", "hub", "here", "10.42.0.2", "hub"),
			pod("web", "user", "there", "10.42.1.3", "user"),
			pod("other", "probe", "there", "10.42.1.4", "probe"),
			pod("web", "waiting", "here", "", "hub"),
			host, done,
		},
		Namespaces: map[string]map[string]string{"web": {"team": "a"}, "other": {"team": "b"}},
	}
	if policy != "" {
		var parsed networkingv1.NetworkPolicy
		if err := yaml.UnmarshalStrict([]byte(policy), &parsed.Spec); err != nil {
			t.Fatal(err)
		}
		parsed.Namespace = "web"
		w.Policies = append(w.Policies, &parsed)
	}
	return w
}

// chain returns what a chain lets through, or nil if there is no such chain.
func chain(rules, name string) []string {
	_, after, found := strings.Cut(rules, "chain "+name+" {\n")
	if !found {
		return nil
	}
	body, _, _ := strings.Cut(after, "\t}\n")
	lines := []string{}
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		if allowed, isReturn := strings.CutSuffix(line, " counter return"); isReturn {
			lines = append(lines, allowed)
		} else if line == "counter return" {
			lines = append(lines, "everything")
		}
	}
	return lines
}

func TestCompile(t *testing.T) {
	cases := map[string]struct {
		policy  string
		ingress []string // what may reach the hub; nil: it is not isolated
		egress  []string
	}{
		"a pod that no policy selects is not isolated": {
			policy: `{podSelector: {matchLabels: {app: user}}}`,
		},
		"a policy without rules lets nothing in": {
			policy:  `{podSelector: {}}`,
			ingress: []string{},
		},
		"an empty rule lets everything in": {
			policy:  `{podSelector: {}, ingress: [{}]}`,
			ingress: []string{"everything"},
		},
		"a pod selector means pods of the policy's namespace": {
			policy:  `{podSelector: {matchLabels: {app: hub}}, ingress: [{from: [{podSelector: {}}]}]}`,
			ingress: []string{"ip saddr { 10.42.0.2, 10.42.1.3 }"},
		},
		"a namespace selector means all its pods": {
			policy:  `{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: b}}}]}]}`,
			ingress: []string{"ip saddr { 10.42.1.4 }"},
		},
		"both selectors in one peer must match": {
			policy: `{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: b}},
			  podSelector: {matchLabels: {app: user}}}]}]}`,
			ingress: []string{},
		},
		"a block leaves out its exceptions": {
			policy:  `{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]}]}`,
			ingress: []string{"ip saddr 10.0.0.0/8 ip saddr != 10.1.0.0/16"},
		},
		"ports by number, range, protocol and name": {
			policy: `{podSelector: {}, ingress: [{ports: [{port: 80}, {port: 8000, endPort: 8100}, {protocol: UDP},
			  {port: http}, {port: dns, protocol: UDP}, {port: unknown}]}]}`,
			ingress: []string{"meta l4proto udp", "tcp dport 80", "tcp dport 8000-8100", "tcp dport 8081", "udp dport 53"},
		},
		"peers and ports must both match": {
			policy: `{podSelector: {}, ingress: [{ports: [{port: http}], from: [{podSelector: {matchLabels: {app: user}}},
			  {ipBlock: {cidr: 192.0.2.0/24}}]}]}`,
			ingress: []string{"ip saddr 192.0.2.0/24 tcp dport 8081", "ip saddr { 10.42.1.3 } tcp dport 8081"},
		},
		"egress alone leaves ingress open when the types say so": {
			policy: `{podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: user}}}]}]}`,
			egress: []string{"ip daddr { 10.42.1.3 }"},
		},
		"egress rules without types isolate both ways": {
			policy:  `{podSelector: {}, egress: [{ports: [{port: 53, protocol: UDP}]}]}`,
			ingress: []string{},
			egress:  []string{"udp dport 53"},
		},
		"a name in egress is that of the receiver's port": {
			policy: `{podSelector: {}, policyTypes: [Egress],
			  egress: [{ports: [{port: http}], to: [{podSelector: {matchLabels: {app: user}}}]}]}`,
			egress: []string{"ip daddr { 10.42.1.3 } tcp dport 8081"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			rules := Compile(world(t, c.policy))
			for way, wanted := range map[string][]string{"ingress": c.ingress, "egress": c.egress} {
				found := chain(rules, way+"-10.42.0.2")
				if !slices.Equal(found, wanted) || (found == nil) != (wanted == nil) {
					t.Errorf("%s: found %q, wanted %q in\n%s", way, found, wanted, rules)
				}
			}
			if strings.Contains(rules, "10.42.0.9") || strings.Contains(rules, "172.16.0.1") {
				t.Errorf("pods that ended or use their node's network have no rules:\n%s", rules)
			}
		})
	}
}

func TestPoliciesAddUp(t *testing.T) {
	w := world(t, `{podSelector: {}, ingress: [{ports: [{port: 80}]}]}`)
	second := world(t, `{podSelector: {matchLabels: {app: hub}}, ingress: [{ports: [{port: 443}]}]}`)
	w.Policies = append(w.Policies, second.Policies...)
	if found := chain(Compile(w), "ingress-10.42.0.2"); !slices.Equal(found, []string{"tcp dport 443", "tcp dport 80"}) {
		t.Errorf("found %q", found)
	}
}

func TestAnAddressTwiceIsWrittenOnce(t *testing.T) {
	w := world(t, `{podSelector: {}}`)
	w.Pods = append(w.Pods, pod("web", "next", "here", "10.42.0.2", "hub"))
	if count := strings.Count(Compile(w), "10.42.0.2 : jump"); count != 1 {
		t.Errorf("found %d times", count)
	}
}
