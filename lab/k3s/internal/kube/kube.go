// Package kube holds what the launcher asks of the Kubernetes API.
package kube

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"metalworks/lab/k3s/internal/join"
)

const pollEvery = 100 * time.Millisecond

// Load reads a kubeconfig.
func Load(path string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = 50, 100
	config.UserAgent = "k3s"
	return config, nil
}

// Client makes a client from a kubeconfig.
func Client(path string) (*kubernetes.Clientset, error) {
	config, err := Load(path)
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
}

// Until polls a condition until it holds or the context ends.
func Until(ctx context.Context, holds func(context.Context) bool) error {
	for !holds(ctx) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollEvery):
		}
	}
	return nil
}

// WaitReady waits until the API says that it is ready.
func WaitReady(ctx context.Context, client kubernetes.Interface) error {
	return Until(ctx, func(ctx context.Context) bool {
		_, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").Timeout(2 * time.Second).DoRaw(ctx)
		return err == nil
	})
}

// WaitKubelet waits until the kubelet of this node says that it is healthy.
func WaitKubelet(ctx context.Context) error {
	client := &http.Client{Timeout: 2 * time.Second}
	return Until(ctx, func(context.Context) bool {
		answer, err := client.Get("http://127.0.0.1:10248/healthz")
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
}

// WaitNode waits until the node is registered.
func WaitNode(ctx context.Context, client kubernetes.Interface, name string) error {
	return Until(ctx, func(ctx context.Context) bool {
		_, err := client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		return err == nil
	})
}

// LabelNode gives a node labels, and asks again until the API takes them or the context ends.
func LabelNode(ctx context.Context, client kubernetes.Interface, name string, labels map[string]string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": labels}})
	if err != nil {
		return err
	}
	return Until(ctx, func(ctx context.Context) bool {
		_, err := client.CoreV1().Nodes().Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
		return err == nil
	})
}

// Passwords keeps a hash of each node's password in a Secret, so that no other machine can take a node's name.
type Passwords struct{ Client kubernetes.Interface }

// Check remembers the password of a new name, and refuses another password for a known one.
func (p Passwords) Check(ctx context.Context, node, password string) error {
	if node == "" || password == "" {
		return join.Refusal{Reason: "a node must give its name and its password"}
	}
	secrets := p.Client.CoreV1().Secrets("kube-system")
	name := node + ".node-password.k3s"
	known, err := secrets.Get(ctx, name, metav1.GetOptions{})
	if errors.IsNotFound(err) {
		immutable := true
		_, err = secrets.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "kube-system"},
			Data:       map[string][]byte{"hash": []byte(hashPassword(password, newSalt()))},
			Immutable:  &immutable,
		}, metav1.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	hash := string(known.Data["hash"])
	salt, _, _ := strings.Cut(hash, ":")
	if subtle.ConstantTimeCompare([]byte(hash), []byte(hashPassword(password, salt))) != 1 {
		return join.Refusal{Reason: fmt.Sprintf("Node password rejected, duplicate hostname: another machine "+
			"joined as %s before. Give this one another node-name; or, if it takes the place of the old one, run: "+
			"kubectl delete node %s (that deletes the Secret kube-system/%s, too)", node, node, name)}
	}
	return nil
}

func newSalt() string {
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // never fails: it ends the program instead
	return base64.RawStdEncoding.EncodeToString(raw)
}

func hashPassword(password, salt string) string {
	key, err := pbkdf2.Key(sha256.New, password, []byte(salt), 50_000, sha256.Size)
	if err != nil {
		panic(err) // only for impossible lengths
	}
	return salt + ":" + base64.RawStdEncoding.EncodeToString(key)
}
