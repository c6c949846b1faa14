package config

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	utilnet "k8s.io/apimachinery/pkg/util/net"
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
	text   kind = iota // one value; of several the last counts
	toggle             // true or false
	list
)

// key is one key of config.yaml, which is also a flag and is spelled alike in both.
type key struct {
	kind       kind
	serverOnly bool
	check      func(value string) error // applied to every value
}

// keys are those that the stand-in honours.
var keys = map[string]key{
	"token":         {kind: text},
	"token-file":    {kind: text},
	"server":        {kind: text, check: checkServer},
	"data-dir":      {kind: text, check: checkFolder},
	"node-name":     {kind: text, check: checkNodeName},
	"node-ip":       {kind: text, check: checkIP},
	"node-label":    {kind: list, check: checkLabel},
	"node-taint":    {kind: list, check: checkTaint},
	"flannel-iface": {kind: text},
	"resolv-conf":   {kind: text},
	"snapshotter":   {kind: text, check: oneOf("overlayfs", "native")},
	"kubelet-arg":   {kind: list, check: checkArgument},

	"kube-proxy-arg": {kind: list, check: checkArgument},

	"cluster-init":                {kind: toggle, serverOnly: true},
	"https-listen-port":           {kind: text, serverOnly: true, check: checkPort},
	"tls-san":                     {kind: list, serverOnly: true},
	"cluster-cidr":                {kind: text, serverOnly: true, check: checkCIDR},
	"service-cidr":                {kind: text, serverOnly: true, check: checkCIDR},
	"service-node-port-range":     {kind: text, serverOnly: true, check: checkPortRange},
	"cluster-dns":                 {kind: text, serverOnly: true, check: checkIP},
	"cluster-domain":              {kind: text, serverOnly: true, check: checkDomain},
	"default-local-storage-path":  {kind: text, serverOnly: true, check: checkFolder},
	"disable":                     {kind: list, serverOnly: true, check: eachOf(components...)},
	"flannel-backend":             {kind: text, serverOnly: true, check: oneOf("vxlan", "host-gw")},
	"write-kubeconfig-mode":       {kind: text, serverOnly: true},
	"disable-network-policy":      {kind: toggle, serverOnly: true},
	"secrets-encryption":          {kind: toggle, serverOnly: true},
	"kube-apiserver-arg":          {kind: list, serverOnly: true, check: checkArgument},
	"kube-controller-manager-arg": {kind: list, serverOnly: true, check: checkArgument},
	"kube-scheduler-arg":          {kind: list, serverOnly: true, check: checkArgument},
}

// beyond are the keys that k3s has and the stand-in does not honour (docs.k3s.io/cli/server, cli/agent). It refuses
// them by name: doing without what was asked for would prove nothing. A key in neither list k3s does not have.
var beyond = strings.Fields(`
advertise-address advertise-port agent-token agent-token-file airgap-extra-registry alsologtostderr apiserver-bind-address
apiserver-port bind-address cluster-reset cluster-reset-restore-path container-runtime-endpoint datastore-cafile
datastore-certfile datastore-endpoint datastore-keyfile debug default-runtime disable-agent disable-apiserver
disable-apiserver-lb disable-cloud-controller disable-controller-manager disable-default-registry-endpoint disable-etcd
disable-helm-controller disable-kube-proxy disable-scheduler docker egress-selector-mode embedded-registry enable-pprof
etcd-arg etcd-disable-snapshots etcd-expose-metrics etcd-s3 etcd-s3-access-key etcd-s3-bucket etcd-s3-bucket-lookup-type
etcd-s3-config-secret etcd-s3-endpoint etcd-s3-endpoint-ca etcd-s3-folder etcd-s3-insecure etcd-s3-proxy etcd-s3-region
etcd-s3-retention etcd-s3-secret-key etcd-s3-session-token etcd-s3-skip-ssl-verify etcd-s3-timeout etcd-snapshot-compress
etcd-snapshot-dir etcd-snapshot-name etcd-snapshot-reconcile-interval etcd-snapshot-retention
etcd-snapshot-schedule-cron flannel-cni-conf flannel-conf flannel-external-ip flannel-ip-masq-disable-random-fully
flannel-ipv6-masq helm-controller-arg helm-job-image image-credential-provider-bin-dir
image-credential-provider-config image-service-endpoint kine-tls kube-cloud-controller-manager-arg lb-server-port log
node-external-dns node-external-ip node-internal-dns nonroot-devices pause-image prefer-bundled-bin private-registry
protect-kernel-defaults rootless secrets-encryption-provider selinux servicelb-namespace supervisor-metrics
supervisor-port system-default-registry tls-san-security v vmodule vpn-auth vpn-auth-file with-node-id write-kubeconfig
write-kubeconfig-group`)

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
	if address, err := netip.ParseAddr(value); err != nil || !address.Is4() {
		return fmt.Errorf("%q is not one IPv4 address, and the stand-in has no other", value)
	}
	return nil
}

func checkFolder(value string) error {
	if !filepath.IsAbs(value) {
		return fmt.Errorf("%q is not the absolute path of a folder", value)
	}
	return nil
}

func checkPort(value string) error {
	if port, err := strconv.ParseUint(value, 10, 16); err != nil || port == 0 {
		return fmt.Errorf("%q is not a port", value)
	}
	return nil
}

func checkPortRange(value string) error {
	if _, err := utilnet.ParsePortRange(value); err != nil {
		return fmt.Errorf("%q is not a range of ports such as 30000-32767", value)
	}
	return nil
}

func checkCIDR(value string) error {
	prefix, err := netip.ParsePrefix(value)
	if err != nil || !prefix.Addr().Is4() || prefix != prefix.Masked() {
		return fmt.Errorf("%q is not one IPv4 network such as 10.42.0.0/16, and the stand-in has no other", value)
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
