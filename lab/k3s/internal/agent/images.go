package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/pkg/archive/compression"

	"metalworks/lab/k3s/internal/layout"
	"metalworks/lab/k3s/internal/pki"
)

// lookForArchives is how often the image folder is looked at while k3s runs.
const lookForArchives = 2 * time.Second

// imported is what is kept of one archive, in the form of k3s's .cache.json.
type imported struct {
	Size    int64     `json:"size"`
	ModTime time.Time `json:"modTime"`
	Images  []string  `json:"images"`
}

// importer brings the archives of the image folder into containerd: all at every start, or, where a file .cache.json
// lies beside them, those that are new or were changed. While k3s runs, an archive that appears or changes is imported.
type importer struct {
	client      *containerd.Client
	snapshotter string
	done        map[string]imported
	failed      map[string]time.Time // the state of an archive that could not be imported, so that it is said once
}

func newImporter(client *containerd.Client, snapshotter string) *importer {
	return &importer{client, snapshotter, map[string]imported{}, map[string]time.Time{}}
}

func cacheFile() string { return filepath.Join(layout.ImageFolder(), ".cache.json") }

// start imports what is to be imported before any pod can ask for it, and renews the pins: an image whose archive is
// gone is no longer pinned.
func (i *importer) start(ctx context.Context) error {
	if content, err := os.ReadFile(cacheFile()); err == nil {
		_ = json.Unmarshal(content, &i.done) // empty at first, and unreadable at worst: everything is imported again
	}
	if err := i.unpin(ctx); err != nil {
		return err
	}
	paths, err := archives()
	if err != nil {
		return err
	}
	for path, state := range paths {
		if known, found := i.done[path]; found && known.Size == state.Size() && known.ModTime.Equal(cacheTime(state)) {
			if err := i.pin(ctx, known.Images); err != nil {
				return err
			}
		} else if err := i.bring(ctx, path, state); err != nil {
			log.Print(err) // the node starts without, as k3s does
			i.failed[path] = state.ModTime()
		}
	}
	for path := range i.done {
		if _, found := paths[path]; !found {
			delete(i.done, path)
		}
	}
	return i.keep()
}

// watch imports what appears or changes, until the context ends.
func (i *importer) watch(ctx context.Context) {
	defer func() { _ = i.client.Close() }()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookForArchives):
		}
		paths, err := archives()
		if err != nil {
			continue
		}
		for path, state := range paths {
			settled := time.Since(state.ModTime()) > lookForArchives // a file that is still written is not looked at
			if known := i.done[path]; !settled || known.ModTime.Equal(cacheTime(state)) || i.failed[path].Equal(state.ModTime()) {
				continue
			}
			if err := i.bring(ctx, path, state); err != nil {
				log.Print(err)
				i.failed[path] = state.ModTime()
				continue
			}
			if err := i.keep(); err != nil {
				log.Print(err)
			}
		}
	}
}

func archives() (map[string]os.FileInfo, error) {
	entries, err := os.ReadDir(layout.ImageFolder())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	found := map[string]os.FileInfo{}
	for _, entry := range entries {
		path := filepath.Join(layout.ImageFolder(), entry.Name())
		if state, err := os.Stat(path); err == nil && isArchive(path) {
			found[path] = state
		}
	}
	return found, nil
}

func isArchive(path string) bool {
	for _, suffix := range []string{".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst"} {
		if strings.HasSuffix(path, suffix) {
			return true
		}
	}
	return false
}

// cacheTime is the time of a file as the cache holds it: in whole seconds, as k3s's does.
func cacheTime(state os.FileInfo) time.Time { return state.ModTime().UTC().Truncate(time.Second) }

// keep writes the cache, where the operator has made its file.
func (i *importer) keep() error {
	if _, err := os.Stat(cacheFile()); err != nil {
		return nil
	}
	content, err := json.Marshal(i.done)
	if err != nil {
		return err
	}
	return pki.WriteFile(cacheFile(), content, 0o644)
}

func (i *importer) bring(ctx context.Context, path string, state os.FileInfo) error {
	started := time.Now()
	names, err := i.importArchive(ctx, path)
	if err != nil {
		return fmt.Errorf("images of %s: %w", path, err)
	}
	log.Printf("Imported images from %s in %s", path, time.Since(started).Round(time.Millisecond))
	i.done[path] = imported{Size: state.Size(), ModTime: cacheTime(state), Images: names}
	return nil
}

func (i *importer) importArchive(ctx context.Context, path string) ([]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	content, err := compression.DecompressStream(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = content.Close() }()
	found, err := i.client.Import(ctx, content)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, image := range found {
		if err := containerd.NewImage(i.client, image).Unpack(ctx, i.snapshotter); err != nil {
			return nil, fmt.Errorf("%s: %w", image.Name, err)
		}
		names = append(names, image.Name)
	}
	return names, i.pin(ctx, names)
}

// pin keeps images from being collected: without a registry they could not come back. An image that is gone is
// passed over, as k3s does where the cache names it.
func (i *importer) pin(ctx context.Context, names []string) error {
	for _, name := range names {
		image, err := i.client.ImageService().Get(ctx, name)
		if err != nil {
			log.Printf("cannot pin %s: %v", name, err)
			continue
		}
		if image.Labels == nil {
			image.Labels = map[string]string{}
		}
		image.Labels[layout.PinnedLabel], image.Labels[layout.OwnPinLabel] = layout.PinnedValue, layout.PinnedValue
		if _, err := i.client.ImageService().Update(ctx, image, "labels"); err != nil {
			return err
		}
	}
	return nil
}

// unpin takes off the pins that k3s set at an earlier start. A pin without k3s's own label is somebody else's.
func (i *importer) unpin(ctx context.Context) error {
	found, err := i.client.ImageService().List(ctx, fmt.Sprintf("labels.%q==%s", layout.OwnPinLabel, layout.PinnedValue))
	if err != nil {
		return err
	}
	for _, image := range found {
		if err := i.release(ctx, image); err != nil {
			return err
		}
	}
	return nil
}

func (i *importer) release(ctx context.Context, image images.Image) error {
	delete(image.Labels, layout.OwnPinLabel)
	delete(image.Labels, layout.PinnedLabel)
	_, err := i.client.ImageService().Update(ctx, image, "labels")
	return err
}
