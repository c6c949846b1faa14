package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/pkg/archive/compression"
	"github.com/containerd/containerd/v2/pkg/namespaces"

	"metalworks/lab/k3s/internal/config"
	"metalworks/lab/k3s/internal/kube"
	"metalworks/lab/k3s/internal/layout"
	"metalworks/lab/k3s/internal/pki"
	"metalworks/lab/k3s/internal/process"
	"metalworks/lab/k3s/shim"
)

const (
	containerdConfig = layout.AgentDir + "/etc/containerd/config.toml"
	cniFolder        = layout.AgentDir + "/etc/cni/net.d"
	registriesFolder = layout.AgentDir + "/etc/containerd/certs.d"
	importedFile     = layout.AgentDir + "/imported.json"
)

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
	for _, tool := range []string{"runc", "iptables", "nft", "ip", "mount", "conntrack"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("this machine has no %s, which the stand-in takes from the machine: install Debian's "+
				"packages runc, iptables, nftables, iproute2, mount and conntrack", tool)
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
	if err := shim.Extract(layout.ProgramFolder); err != nil {
		return err
	}
	if err := s.Registries.Write(registriesFolder); err != nil {
		return err
	}
	var content bytes.Buffer
	if err := containerdTemplate.Execute(&content, map[string]any{
		"Root": layout.AgentDir + "/containerd", "Socket": layout.ContainerdSocket, "Limited": limited(),
		"Plugins": plugins, "Networks": cniFolder, "Snapshotter": s.Snapshotter, "Pause": layout.PauseImage,
		"Registries": registriesFolder, "Logins": s.Registries.Logins(),
	}); err != nil {
		return err
	}
	if err := pki.WriteFile(containerdConfig, content.Bytes(), 0o600); err != nil {
		return err
	}
	path := "PATH=" + layout.ProgramFolder + ":" + os.Getenv("PATH") + ":/usr/sbin:/sbin"
	if err := children.Start("containerd", []string{"--config=" + containerdConfig, "--log-level=warn"}, path); err != nil {
		return err
	}
	client, err := waitContainerd(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	return importArchives(namespaces.WithNamespace(ctx, layout.ImagesOnNodes), client, s.Snapshotter)
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

// importArchives imports the archives of the image folder that are new or were changed since the last start.
func importArchives(ctx context.Context, client *containerd.Client, snapshotter string) error {
	done := map[string]string{}
	if content, err := os.ReadFile(importedFile); err == nil {
		_ = json.Unmarshal(content, &done) // unreadable: everything is imported again
	}
	paths, err := filepath.Glob(layout.ImageFolder + "/*")
	if err != nil {
		return err
	}
	for _, path := range paths {
		found, err := os.Stat(path)
		if err != nil || !isArchive(path) {
			continue
		}
		stamp := fmt.Sprintf("%d %d", found.Size(), found.ModTime().UnixNano())
		if done[path] == stamp {
			continue
		}
		started := time.Now()
		count, err := importArchive(ctx, client, path, snapshotter)
		if err != nil {
			return fmt.Errorf("images of %s: %w", path, err)
		}
		log.Printf("imported %d images of %s in %.1f s", count, path, time.Since(started).Seconds())
		done[path] = stamp
		content, err := json.Marshal(done)
		if err != nil {
			return err
		}
		if err := pki.WriteFile(importedFile, content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func isArchive(path string) bool {
	for _, suffix := range []string{".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst"} {
		if strings.HasSuffix(path, suffix) {
			return true
		}
	}
	return false
}

func importArchive(ctx context.Context, client *containerd.Client, path, snapshotter string) (int, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }()
	content, err := compression.DecompressStream(file)
	if err != nil {
		return 0, err
	}
	defer func() { _ = content.Close() }()
	imported, err := client.Import(ctx, content)
	if err != nil {
		return 0, err
	}
	for _, image := range imported {
		if err := keepImage(ctx, client, image, snapshotter); err != nil {
			return 0, fmt.Errorf("%s: %w", image.Name, err)
		}
	}
	return len(imported), nil
}

// keepImage unpacks an image, and pins it: without a registry an image that the kubelet removed cannot come back.
func keepImage(ctx context.Context, client *containerd.Client, image images.Image, snapshotter string) error {
	if err := containerd.NewImage(client, image).Unpack(ctx, snapshotter); err != nil {
		return err
	}
	if image.Labels == nil {
		image.Labels = map[string]string{}
	}
	image.Labels[layout.PinnedLabel] = layout.PinnedValue
	_, err := client.ImageService().Update(ctx, image, "labels")
	return err
}
