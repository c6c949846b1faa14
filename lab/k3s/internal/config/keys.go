package config

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// Role is what a node is started as.
type Role string

// The two roles of k3s.
const (
	Server Role = "server"
	Agent  Role = "agent"
)

type kind int

const (
	text kind = iota
	toggle
	list
)

func (k kind) String() string {
	return [...]string{"one value", "true or false", "a list"}[k]
}

// key is one key of config.yaml, which is also a flag and is spelled alike in both.
type key struct {
	kind       kind
	serverOnly bool
	check      func(value string) error // applied to every value
}

// keys are those that the stand-in honours. Every other key is refused.
var keys = map[string]key{
	"token":         {kind: text},
	"token-file":    {kind: text},
	"server":        {kind: text, check: checkServer},
	"node-name":     {kind: text, check: checkNodeName},
	"node-ip":       {kind: text, check: checkIP},
	"node-label":    {kind: list, check: checkLabel},
	"node-taint":    {kind: list, check: checkTaint},
	"flannel-iface": {kind: text},
	"snapshotter":   {kind: text, check: oneOf("overlayfs", "native")},
	"kubelet-arg":   {kind: list, check: checkArgument},

	"kube-proxy-arg": {kind: list, check: checkArgument},

	"cluster-init":                {kind: toggle, serverOnly: true},
	"tls-san":                     {kind: list, serverOnly: true},
	"cluster-cidr":                {kind: text, serverOnly: true, check: checkCIDR},
	"service-cidr":                {kind: text, serverOnly: true, check: checkCIDR},
	"cluster-dns":                 {kind: text, serverOnly: true, check: checkIP},
	"cluster-domain":              {kind: text, serverOnly: true, check: checkDomain},
	"disable":                     {kind: list, serverOnly: true, check: eachOf(components...)},
	"flannel-backend":             {kind: text, serverOnly: true, check: oneOf("vxlan", "host-gw")},
	"write-kubeconfig-mode":       {kind: text, serverOnly: true, check: checkMode},
	"disable-network-policy":      {kind: toggle, serverOnly: true},
	"secrets-encryption":          {kind: toggle, serverOnly: true},
	"kube-apiserver-arg":          {kind: list, serverOnly: true, check: checkArgument},
	"kube-controller-manager-arg": {kind: list, serverOnly: true, check: checkArgument},
	"kube-scheduler-arg":          {kind: list, serverOnly: true, check: checkArgument},
}

// components are the values of `disable`.
var components = []string{"coredns", "local-storage", "metrics-server", "servicelb", "traefik"}

var (
	nodeName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$`)
	label    = regexp.MustCompile(`^([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?=([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$`)
	taint    = regexp.MustCompile(`^([a-z0-9.-]+/)?[A-Za-z0-9._-]+(=[A-Za-z0-9._-]*)?:(NoSchedule|PreferNoSchedule|NoExecute)$`)
	argument = regexp.MustCompile(`^(--)?[a-z][a-z0-9-]*(=.*)?$`)
	server   = regexp.MustCompile(`^https://[^/\s]+$`)
	domain   = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`)
)

func matching(pattern *regexp.Regexp, wanted string) func(string) error {
	return func(value string) error {
		if !pattern.MatchString(value) {
			return fmt.Errorf("%q is not %s", value, wanted)
		}
		return nil
	}
}

var (
	checkServer   = matching(server, "an address of the form https://HOST:6443")
	checkNodeName = matching(nodeName, "a node name (lower case letters, digits, - and .)")
	checkLabel    = matching(label, "a label of the form key=value")
	checkTaint    = matching(taint, "a taint of the form key=value:NoSchedule (or PreferNoSchedule, NoExecute)")
	checkArgument = matching(argument, "an argument of the form name=value")
	checkDomain   = matching(domain, "a domain name")
)

func checkIP(value string) error {
	if _, err := netip.ParseAddr(value); err != nil {
		return fmt.Errorf("%q is not an IP address", value)
	}
	return nil
}

func checkCIDR(value string) error {
	prefix, err := netip.ParsePrefix(value)
	if err != nil || !prefix.Addr().Is4() || prefix != prefix.Masked() {
		return fmt.Errorf("%q is not an IPv4 network such as 10.42.0.0/16", value)
	}
	return nil
}

func checkMode(value string) error {
	if mode, err := strconv.ParseUint(value, 8, 32); err != nil || mode > 0o777 {
		return fmt.Errorf("%q is not a file mode: write it in quotes, such as \"0640\"", value)
	}
	return nil
}

func oneOf(allowed ...string) func(string) error {
	return func(value string) error {
		for _, candidate := range allowed {
			if value == candidate {
				return nil
			}
		}
		return fmt.Errorf("%q is not one of %q", value, allowed)
	}
}

// eachOf is oneOf for a value that may hold several, divided by commas.
func eachOf(allowed ...string) func(string) error {
	return func(value string) error {
		for _, part := range strings.Split(value, ",") {
			if err := oneOf(allowed...)(part); err != nil {
				return err
			}
		}
		return nil
	}
}
