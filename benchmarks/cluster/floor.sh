#!/usr/bin/env bash
# The floor: two nodes from nothing to Ready by hand, with the same image and the same binary, keys made beforehand,
# everything bind-mounted, nothing installed, checked or kept. Prints the seconds.
#   IMAGE    the machines' Docker image        BIN   a folder with k3s and containerd-shim-runc-v2
#   ARCHIVE  an image archive with the pause image
set -euo pipefail
: "${IMAGE:?}" "${BIN:?}" "${ARCHIVE:?}"
prefix=172.30.12
boot=$(cat "$(dirname "$0")/../../lab/roles/lab_machines/files/boot.sh")
work=$(mktemp -d)
nodes=(floor-1 floor-2)
cleanup() { docker rm --force --volumes "${nodes[@]}" >/dev/null 2>&1 || true; docker network rm metalworks-floor >/dev/null 2>&1 || true; rm -rf "$work"; }
trap cleanup EXIT
docker network create --subnet "$prefix.0/24" metalworks-floor >/dev/null

# --- keys and settings, not timed ---
cd "$work"
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=floor-ca -days 2 2>/dev/null
openssl genrsa -out sa.key 2048 2>/dev/null
certificate() { # name subject [alternative names]
  openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.csr" -subj "$2" 2>/dev/null
  printf 'keyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth,clientAuth\n%s\n' "${3:+subjectAltName=$3}" >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -out "$1.crt" -days 2 -extfile "$1.ext" 2>/dev/null
}
certificate apiserver /CN=kube-apiserver "DNS:kubernetes,DNS:localhost,IP:10.43.0.1,IP:127.0.0.1,IP:$prefix.11"
certificate admin /O=system:masters/CN=admin
certificate kcm /CN=system:kube-controller-manager
certificate sched /CN=system:kube-scheduler
certificate proxy /CN=system:kube-proxy
for n in 1 2; do certificate "floor-$n" "/O=system:nodes/CN=system:node:floor-$n" "DNS:floor-$n,IP:$prefix.1$n"; done
for user in admin kcm sched proxy floor-1 floor-2; do
  cat >"$user.kubeconfig" <<END
apiVersion: v1
kind: Config
clusters: [{name: floor, cluster: {server: "https://$prefix.11:6443", certificate-authority: /etc/floor/ca.crt}}]
users: [{name: u, user: {client-certificate: /etc/floor/$user.crt, client-key: /etc/floor/$user.key}}]
contexts: [{name: floor, context: {cluster: floor, user: u}}]
current-context: floor
END
done
cat >kubelet.yaml <<'END'
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
clusterDNS: [10.43.0.10]
clusterDomain: cluster.local
cgroupDriver: cgroupfs
failSwapOn: false
failCgroupV1: false
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: /etc/floor/ca.crt}}
authorization: {mode: Webhook}
featureGates: {KubeletInUserNamespace: true}
evictionHard: {imagefs.available: "1%", nodefs.available: "1%"}
END
cat >proxy.yaml <<'END'
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: /etc/floor/proxy.kubeconfig}
mode: iptables
clusterCIDR: 10.42.0.0/16
conntrack: {maxPerCore: 0}
END
cat >containerd.toml <<'END'
version = 3
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = 'metalworks.local/lab/pause:3.10'
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  disable_apparmor = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ['/usr/lib/cni']
  conf_dir = '/etc/cni/net.d'
END
chmod -R a+rX .

# --- timed ---
began=$(date +%s.%N)
for n in 1 2; do
  docker run --detach --name "floor-$n" --hostname "floor-$n" --network metalworks-floor --ip "$prefix.1$n" \
    --cap-add ALL --cap-drop SYS_RESOURCE --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
    --device-cgroup-rule 'a *:* rwm' --cgroupns private --tmpfs /run --tmpfs /tmp --tmpfs /run/lock \
    --volume /var/lib --volume "$BIN:/opt/bin:ro" --volume "$work:/etc/floor:ro" \
    --volume "$ARCHIVE:/opt/images.tar:ro" --env container=docker "$IMAGE" /bin/sh -c "$boot" >/dev/null
done
for n in 1 2; do
  other=$((3 - n))
  docker exec --interactive "floor-$n" bash -s <<END
mkdir -p /etc/cni/net.d
cat >/etc/cni/net.d/10-floor.conflist <<'CNI'
{"cniVersion":"0.4.0","name":"floor","plugins":[{"type":"ptp","ipMasq":true,"ipam":{"type":"host-local","ranges":[[{"subnet":"10.42.$((n - 1)).0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}},{"type":"portmap","capabilities":{"portMappings":true}}]}
CNI
for c in kubelet kubectl kube-proxy kube-apiserver kube-controller-manager kube-scheduler etcd containerd ctr; do ln -sf /opt/bin/k3s /usr/local/bin/\$c; done
ln -sf /opt/bin/containerd-shim-runc-v2 /usr/local/bin/
until [ "\$(systemctl is-system-running 2>/dev/null)" = running ] || [ "\$(systemctl is-system-running 2>/dev/null)" = degraded ]; do sleep 0.1; done
ip route add 10.42.$((other - 1)).0/24 via $prefix.1$other
END
done
booted=$(date +%s.%N)
unit() { docker exec "$1" systemd-run --quiet --unit "$2" "${@:3}"; }
unit floor-1 etcd etcd --data-dir=/var/lib/etcd
unit floor-1 apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 --service-cluster-ip-range=10.43.0.0/16 \
  --client-ca-file=/etc/floor/ca.crt --tls-cert-file=/etc/floor/apiserver.crt --tls-private-key-file=/etc/floor/apiserver.key \
  --service-account-key-file=/etc/floor/sa.key --service-account-signing-key-file=/etc/floor/sa.key \
  --service-account-issuer=https://kubernetes.default.svc.cluster.local --authorization-mode=Node,RBAC \
  --kubelet-client-certificate=/etc/floor/admin.crt --kubelet-client-key=/etc/floor/admin.key \
  --advertise-address="$prefix.11" --allow-privileged
unit floor-1 kcm kube-controller-manager --kubeconfig=/etc/floor/kcm.kubeconfig --cluster-cidr=10.42.0.0/16 --allocate-node-cidrs \
  --service-account-private-key-file=/etc/floor/sa.key --root-ca-file=/etc/floor/ca.crt --use-service-account-credentials
unit floor-1 sched kube-scheduler --kubeconfig=/etc/floor/sched.kubeconfig
for n in 1 2; do
  {
    unit "floor-$n" containerd containerd --config /etc/floor/containerd.toml --address /run/containerd/containerd.sock
    docker exec "floor-$n" bash -c 'until ctr -a /run/containerd/containerd.sock version >/dev/null 2>&1; do sleep 0.1; done
      ctr -a /run/containerd/containerd.sock -n k8s.io images import /opt/images.tar >/dev/null'
    unit "floor-$n" kubelet kubelet --config=/etc/floor/kubelet.yaml --kubeconfig="/etc/floor/floor-$n.kubeconfig" \
      --tls-cert-file="/etc/floor/floor-$n.crt" --tls-private-key-file="/etc/floor/floor-$n.key"
    unit "floor-$n" kube-proxy kube-proxy --config=/etc/floor/proxy.yaml --hostname-override="floor-$n"
  } &
done
wait
started=$(date +%s.%N)
for _ in $(seq 1 400); do
  ready=$(docker exec floor-1 kubectl --kubeconfig /etc/floor/admin.kubeconfig get nodes --no-headers 2>/dev/null | grep -c ' Ready ' || true)
  [ "$ready" = 2 ] && break
  sleep 0.2
done
[ "$ready" = 2 ] || { docker exec floor-1 journalctl --no-pager -n 40 >&2; exit 1; }
ended=$(date +%s.%N)
python3 - "$began" "$booted" "$started" "$ended" <<'END'
import json, sys
a, b, c, d = map(float, sys.argv[1:])
print(json.dumps({"booted": round(b - a, 2), "started": round(c - b, 2), "ready": round(d - c, 2), "total": round(d - a, 2)}))
END
