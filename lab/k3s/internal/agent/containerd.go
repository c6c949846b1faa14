package agent

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"text/template"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"

	"metalworks/lab/k3s/internal/config"
	"metalworks/lab/k3s/internal/kube"
	"metalworks/lab/k3s/internal/layout"
	"metalworks/lab/k3s/internal/pki"
	"metalworks/lab/k3s/internal/process"
	"metalworks/lab/k3s/shim"
)

func cniFolder() string { return layout.Agent("etc", "cni", "net.d") }

var containerdTemplate = template.Must(template.New("config.toml").Parse(`# Written at every start of k3s.
version = 3
root = "{{.Root}}"
state = "/run/k3s/containerd"

[grpc]
address = "{{.Socket}}"

[plugins.'io.containerd.cri.v1.runtime']
enable_selinux = false
restrict_oom_score_adj = {{.Limited}}
disable_apparmor = {{.Limited}}

[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ["{{.Plugins}}"]
conf_dir = "{{.Networks}}"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
SystemdCgroup = false

[plugins.'io.containerd.cri.v1.images']
snapshotter = "{{.Snapshotter}}"

[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "{{.Pause}}"

[plugins.'io.containerd.cri.v1.images'.registry]
config_path = "{{.Registries}}"
{{.Logins}}`))

// CheckTools refuses a machine that lacks the programs which the real k3s brings along and the stand-in does not.
func CheckTools() error {
	for _, tool := range []string{"runc", "iptables", "nft", "ip", "mount", "conntrack", "ipset"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("this machine has no %s, which the stand-in takes from the machine: install Debian's "+
				"packages runc, iptables, nftables, iproute2, mount, conntrack and ipset", tool)
		}
	}
	_, err := pluginFolder()
	return err
}

func pluginFolder() (string, error) {
	for _, folder := range []string{"/opt/cni/bin", "/usr/lib/cni"} {
		if _, err := os.Stat(filepath.Join(folder, "ptp")); err == nil {
			return folder, nil
		}
	}
	return "", fmt.Errorf("this machine has no CNI plugins: install Debian's package containernetworking-plugins")
}

// StartContainerd starts containerd and imports the images that lie beside it, before any pod can ask for them.
func StartContainerd(ctx context.Context, s *config.Settings, children *process.Group) error {
	plugins, err := pluginFolder()
	if err != nil {
		return err
	}
	containerdConfig, registriesFolder := layout.Agent("etc", "containerd", "config.toml"), layout.Agent("etc", "containerd", "certs.d")
	if err := shim.Extract(layout.ProgramFolder()); err != nil {
		return err
	}
	if err := s.Registries.Write(registriesFolder); err != nil {
		return err
	}
	var content bytes.Buffer
	if err := containerdTemplate.Execute(&content, map[string]any{
		"Root": layout.Agent("containerd"), "Socket": layout.ContainerdSocket, "Limited": limited(),
		"Plugins": plugins, "Networks": cniFolder(), "Snapshotter": s.Snapshotter, "Pause": layout.Images()["Pause"],
		"Registries": registriesFolder, "Logins": s.Registries.Logins(),
	}); err != nil {
		return err
	}
	if err := pki.WriteFile(containerdConfig, content.Bytes(), 0o600); err != nil {
		return err
	}
	path := "PATH=" + layout.ProgramFolder() + ":" + os.Getenv("PATH") + ":/usr/sbin:/sbin"
	if err := children.Start("containerd", []string{"--config=" + containerdConfig, "--log-level=warn"}, path); err != nil {
		return err
	}
	client, err := waitContainerd(ctx)
	if err != nil {
		return err
	}
	ctx = namespaces.WithNamespace(ctx, layout.ImagesOnNodes)
	images := newImporter(client, s.Snapshotter)
	if err := images.start(ctx); err != nil {
		return err
	}
	go images.watch(ctx)
	return nil
}

func waitContainerd(ctx context.Context) (*containerd.Client, error) {
	var client *containerd.Client
	err := kube.Until(ctx, func(ctx context.Context) bool {
		if _, err := os.Stat(layout.ContainerdSocket); err != nil {
			return false
		}
		found, err := containerd.New(layout.ContainerdSocket, containerd.WithTimeout(2*time.Second))
		if err != nil {
			return false
		}
		if serving, err := found.IsServing(ctx); err != nil || !serving {
			_ = found.Close()
			return false
		}
		client = found
		return true
	})
	return client, err
}
