// Package deploy keeps the manifests of the server's folder applied, among them those of the bundled components.
package deploy

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"

	"metalworks/lab/k3s/internal/config"
	"metalworks/lab/k3s/internal/kube"
	"metalworks/lab/k3s/internal/layout"
	"metalworks/lab/k3s/internal/pki"
)

const lookEvery = time.Second

//go:embed manifests/*.yaml
var bundled embed.FS

// applier applies manifests by what their content says.
type applier struct {
	objects dynamic.Interface
	kinds   *restmapper.DeferredDiscoveryRESTMapper
	applied map[string][sha256.Size]byte // what was applied of each file
}

// Run keeps the folder applied until the context ends.
func Run(ctx context.Context, kubeconfig string, s *config.Settings) {
	a, err := newApplier(kubeconfig)
	if err != nil {
		log.Printf("manifests: %v", err)
		return
	}
	if err := a.writeBundled(ctx, s); err != nil {
		log.Printf("manifests: %v", err)
	}
	for {
		a.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookEvery):
		}
	}
}

func newApplier(kubeconfig string) (*applier, error) {
	settings, err := kube.Load(kubeconfig)
	if err != nil {
		return nil, err
	}
	objects, err := dynamic.NewForConfig(settings)
	if err != nil {
		return nil, err
	}
	api, err := discovery.NewDiscoveryClientForConfig(settings)
	if err != nil {
		return nil, err
	}
	return &applier{
		objects: objects,
		kinds:   restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(api)),
		applied: map[string][sha256.Size]byte{},
	}, nil
}

// writeBundled writes the bundled components' manifests, and takes out what is disabled.
func (a *applier) writeBundled(ctx context.Context, s *config.Settings) error {
	entries, err := bundled.ReadDir("manifests")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		content, err := render(entry.Name(), s)
		if err != nil {
			return err
		}
		path := filepath.Join(layout.ManifestFolder(), entry.Name())
		if !slices.Contains(s.Cluster.Disable, strings.TrimSuffix(entry.Name(), ".yaml")) {
			if err := pki.WriteFile(path, content, 0o600); err != nil {
				return err
			}
			continue
		}
		if _, err := os.Stat(path); err == nil {
			if err := a.each(content, func(object *unstructured.Unstructured) error { return a.remove(ctx, object) }); err != nil {
				return fmt.Errorf("%s is disabled, but: %w", entry.Name(), err)
			}
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}

func render(name string, s *config.Settings) ([]byte, error) {
	source, err := template.ParseFS(bundled, "manifests/"+name)
	if err != nil {
		return nil, err
	}
	var content bytes.Buffer
	values := layout.Images()
	values["ClusterDNS"], values["ClusterDomain"] = s.Cluster.ClusterDNS, s.Cluster.ClusterDomain
	values["Storage"] = cmp.Or(s.StoragePath, layout.StorageFolder())
	err = source.Execute(&content, values)
	return content.Bytes(), err
}

// look applies the files that are new or changed. A file that fails is tried again at the next look.
func (a *applier) look(ctx context.Context) {
	paths, err := filepath.Glob(layout.ManifestFolder() + "/*")
	if err != nil {
		return
	}
	slices.Sort(paths)
	for _, path := range paths {
		if !isManifest(path) {
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			continue // removed in between
		}
		sum := sha256.Sum256(content)
		if a.applied[path] == sum {
			continue
		}
		if err := a.each(content, func(object *unstructured.Unstructured) error { return a.apply(ctx, object) }); err != nil {
			if ctx.Err() == nil {
				log.Printf("manifests: %s: %v", path, err)
			}
			a.kinds.Reset() // a kind may have come since
			continue
		}
		a.applied[path] = sum
	}
}

func isManifest(path string) bool {
	if _, err := os.Stat(path + ".skip"); err == nil {
		return false
	}
	return slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path))
}

// each calls use for every object, and goes on after an error so that one bad object does not hold up the others.
func (a *applier) each(content []byte, use func(*unstructured.Unstructured) error) error {
	var failures []error
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			return errors.Join(failures...)
		}
		if err != nil {
			return errors.Join(append(failures, err)...)
		}
		if len(object.Object) == 0 {
			continue
		}
		if err := use(object); err != nil {
			failures = append(failures, fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err))
		}
	}
}

func (a *applier) resource(object *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	kind := object.GroupVersionKind()
	mapping, err := a.kinds.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() != meta.RESTScopeNameNamespace {
		return a.objects.Resource(mapping.Resource), nil
	}
	namespace := object.GetNamespace()
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	return a.objects.Resource(mapping.Resource).Namespace(namespace), nil
}

func (a *applier) apply(ctx context.Context, object *unstructured.Unstructured) error {
	resource, err := a.resource(object)
	if err != nil {
		return err
	}
	_, err = resource.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: "deploy", Force: true})
	return err
}

func (a *applier) remove(ctx context.Context, object *unstructured.Unstructured) error {
	resource, err := a.resource(object)
	if err != nil {
		return err
	}
	policy := metav1.DeletePropagationBackground
	err = resource.Delete(ctx, object.GetName(), metav1.DeleteOptions{PropagationPolicy: &policy})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
