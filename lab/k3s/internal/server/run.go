// Package server runs a server: datastore, control plane and supervisor, and the node beside them.
package server

import (
	"context"
	cryptotls "crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"metalworks/lab/k3s/internal/agent"
	"metalworks/lab/k3s/internal/config"
	"metalworks/lab/k3s/internal/deploy"
	"metalworks/lab/k3s/internal/etcd"
	"metalworks/lab/k3s/internal/join"
	"metalworks/lab/k3s/internal/kube"
	"metalworks/lab/k3s/internal/layout"
	"metalworks/lab/k3s/internal/pki"
	"metalworks/lab/k3s/internal/process"
	"metalworks/lab/k3s/internal/supervisor"
	"metalworks/lab/k3s/internal/token"
)

// The API would wait for a minute until all watches end; what it has to do (take its address out of the Endpoints) is
// done at once. etcd and containerd end within the time.
const grace = 1500 * time.Millisecond

// launcher holds what the steps of a server's start hand to each other.
type launcher struct {
	settings  *config.Settings
	children  *process.Group
	secret    string
	member    string // the name in the datastore
	several   bool   // more servers are possible
	authority map[string]*pki.CA
	members   *etcd.Members
	client    *kubernetes.Clientset
	answers   *supervisor.Server
}

// Run is `k3s server`, until the context ends or a component does.
func Run(ctx context.Context, s *config.Settings) error {
	children := process.NewGroup()
	defer children.Stop(grace,
		[]string{"kubelet", "kube-proxy", "kube-controller-manager", "kube-scheduler", "kube-apiserver"},
		[]string{"etcd", "containerd"})
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go process.CancelOnEnd(ctx, children, cancel)
	l := &launcher{settings: s, children: children}
	if err := l.start(ctx); err != nil {
		return process.Reason(ctx, err)
	}
	<-ctx.Done()
	return process.Reason(ctx, nil)
}

func (l *launcher) start(ctx context.Context) error {
	images := make(chan error, 1)
	joiner, err := l.prepare(ctx)
	if err != nil {
		return err
	}
	go func() { images <- agent.StartContainerd(ctx, l.settings, l.children) }()
	if err := l.startDatastore(ctx, joiner); err != nil {
		return err
	}
	if err := l.startControlPlane(ctx); err != nil {
		return err
	}
	cluster, err := agent.Join(ctx, l.settings, l.answers.Node)
	if err != nil {
		return err
	}
	if err := <-images; err != nil {
		return err
	}
	go l.watchNodes(ctx)
	go l.labelNode(ctx)
	go deploy.Run(ctx, adminKubeconfig(), l.settings)
	return agent.Start(ctx, l.settings, cluster, l.children, nil)
}

// prepare settles token and keys; a server that joins asks another one for them, and its client is returned.
func (l *launcher) prepare(ctx context.Context) (*supervisor.Client, error) {
	if err := os.MkdirAll(layout.Data(), 0o755); err != nil {
		return nil, err
	}
	var err error
	if l.member, err = etcd.MemberName(l.settings.NodeName); err != nil {
		return nil, err
	}
	var joiner *supervisor.Client
	if l.settings.Server != "" && !etcd.Exists() {
		if joiner, err = l.bootstrap(ctx); err != nil {
			return nil, err
		}
	}
	if l.authority, err = makeKeys(l.settings); err != nil {
		return nil, err
	}
	if err := l.settleToken(); err != nil {
		return nil, err
	}
	l.several = etcd.Embedded() || l.settings.ClusterInit || l.settings.Server != ""
	return joiner, nil
}

// bootstrap receives the keys of the cluster from the server that the configuration names.
func (l *launcher) bootstrap(ctx context.Context) (*supervisor.Client, error) {
	given, err := token.Parse(l.settings.Token)
	if err != nil {
		return nil, err
	}
	address, err := agent.HostPort(l.settings.Server)
	if err != nil {
		return nil, err
	}
	client := supervisor.NewClient(address, "server", given)
	reply, err := client.Bootstrap(ctx, supervisor.BootstrapRequest{
		Name: l.settings.NodeName, Cluster: l.settings.Cluster,
	})
	if err != nil {
		return nil, err
	}
	for name, content := range reply.Files {
		if !filepath.IsLocal(name) {
			return nil, fmt.Errorf("the server sent a file outside of its folder: %s", name)
		}
		if err := pki.WriteFile(layout.Server(name), content, 0o600); err != nil {
			return nil, err
		}
	}
	return client, nil
}

// settleToken keeps the secret of the first start: a datastore cannot be opened with another one.
func (l *launcher) settleToken() error {
	ca := l.authority["server-ca"].PEM
	var given token.Token
	var err error
	if l.settings.Token != "" {
		if given, err = token.Parse(l.settings.Token); err != nil {
			return err
		}
		if err := given.Check(ca); err != nil {
			return err
		}
	}
	content, err := os.ReadFile(layout.TokenFile())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	kept, _ := token.Parse(string(content))
	switch {
	case kept.Secret != "" && given.Secret != "" && kept.Secret != given.Secret && etcd.Exists():
		return fmt.Errorf("the token of the configuration does not match the one this cluster was made with: "+
			"write that of %s into the file that token-file names", layout.TokenFile())
	case given.Secret != "":
		l.secret = given.Secret
	case kept.Secret != "":
		l.secret = kept.Secret
	default:
		if l.secret, err = token.Generate(); err != nil {
			return err
		}
	}
	if err := pki.WriteFile(layout.TokenFile(), []byte(token.Format(l.secret, ca)+"\n"), 0o600); err != nil {
		return err
	}
	for _, name := range []string{"node-token", "agent-token"} {
		if err := link(layout.TokenFile(), layout.Server(name)); err != nil {
			return err
		}
	}
	return nil
}

// link makes path a symbolic link, in the place of whatever is there.
func link(target, path string) error {
	if found, err := os.Readlink(path); err == nil && found == target {
		return nil
	}
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	return os.Symlink(target, path)
}

func (l *launcher) startDatastore(ctx context.Context, joiner *supervisor.Client) error {
	s := l.settings
	folder, err := etcd.Folder(l.several)
	if err != nil {
		return err
	}
	l.members = &etcd.Members{NodeExists: l.nodeExists}
	if joiner == nil {
		return l.children.Start("etcd", etcd.Arguments(
			l.member, s.NodeIP, folder, etcd.Single(l.member, s.NodeIP), "new", l.several))
	}
	log.Printf("joining the datastore of %s", s.Server)
	cluster, err := joiner.AddMember(ctx, join.MemberRequest{
		Node: s.NodeName, Member: l.member, PeerURL: etcd.PeerURL(s.NodeIP),
	})
	if err != nil {
		return err
	}
	if err := l.children.Start("etcd", etcd.Arguments(l.member, s.NodeIP, folder, cluster, "existing", true)); err != nil {
		return err
	}
	return joiner.Promote(ctx, l.member)
}

func (l *launcher) startControlPlane(ctx context.Context) error {
	s := l.settings
	publicPort := fmt.Sprintf("%s=%d", layout.PublicPortVariable, s.PublicPort)
	if err := l.children.Start("kube-apiserver", apiServerArguments(s), publicPort); err != nil {
		return err
	}
	var err error
	if l.client, err = kube.Client(adminKubeconfig()); err != nil {
		return err
	}
	if err := l.serve(); err != nil {
		return err
	}
	if err := kube.WaitReady(ctx, l.client); err != nil {
		return err
	}
	if err := etcd.MarkJoined(); err != nil {
		return err
	}
	if err := l.children.Start("kube-controller-manager", managerArguments(s, l.several)); err != nil {
		return err
	}
	return l.children.Start("kube-scheduler", schedulerArguments(s, l.several))
}

// serve opens the public port.
func (l *launcher) serve() error {
	certificate, err := cryptotls.LoadX509KeyPair(servingPrefix()+".crt", servingPrefix()+".key")
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", fmt.Sprintf(":%d", l.settings.PublicPort))
	if err != nil {
		return fmt.Errorf("the port of the API is taken: %w", err)
	}
	l.answers = &supervisor.Server{
		Secret:    l.secret,
		Clustered: l.several,
		Cluster:   l.settings.Cluster,
		ServerCA:  l.authority["server-ca"],
		ClientCA:  l.authority["client-ca"],
		Shared:    sharedFiles(l.settings.Cluster),
		Passwords: kube.Passwords{Client: l.client},
		Datastore: l.members,
	}
	api := fmt.Sprintf("127.0.0.1:%d", l.settings.LocalPort)
	go supervisor.Serve(listener, certificate, l.answers.Handler(), api)
	return nil
}

func (l *launcher) nodeExists(ctx context.Context, name string) (bool, error) {
	_, err := l.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// labelNode gives the node its roles, which a kubelet may not give itself.
func (l *launcher) labelNode(ctx context.Context) {
	labels := map[string]string{"node-role.kubernetes.io/control-plane": "true"}
	if l.several {
		labels["node-role.kubernetes.io/etcd"] = "true"
	}
	if err := kube.LabelNode(ctx, l.client, l.settings.NodeName, labels); err != nil && ctx.Err() == nil {
		log.Printf("labels of the node: %v", err)
	}
}
