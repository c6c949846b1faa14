{{- /* The switches egressAllowRules.* as egress rules. Call with a networkPolicy block of the values. */}}
{{- define "jupyterhub.netpol.egress" -}}
{{- $allow := .egressAllowRules }}
{{- $dns := list (dict "port" 53 "protocol" "UDP") (dict "port" 53 "protocol" "TCP") }}
{{- $private := list "10.0.0.0/8" "172.16.0.0/12" "192.168.0.0/16" }}
{{- $metadata := "169.254.169.254/32" }}
{{- $rules := list }}
{{- if $allow.dnsPortsCloudMetadataServer }}
{{- $rules = append $rules (dict "to" (list (dict "ipBlock" (dict "cidr" $metadata))) "ports" $dns) }}
{{- end }}
{{- if $allow.dnsPortsKubeSystemNamespace }}
{{- $system := dict "matchLabels" (dict "kubernetes.io/metadata.name" "kube-system") }}
{{- $rules = append $rules (dict "to" (list (dict "namespaceSelector" $system)) "ports" $dns) }}
{{- end }}
{{- $privateBlocks := list }}
{{- range $private }}
{{- $privateBlocks = append $privateBlocks (dict "ipBlock" (dict "cidr" .)) }}
{{- end }}
{{- if $allow.dnsPortsPrivateIPs }}
{{- $rules = append $rules (dict "to" $privateBlocks "ports" $dns) }}
{{- end }}
{{- if $allow.nonPrivateIPs }}
{{- $public := dict "cidr" "0.0.0.0/0" "except" (append $private $metadata) }}
{{- $rules = append $rules (dict "to" (list (dict "ipBlock" $public))) }}
{{- end }}
{{- if $allow.privateIPs }}
{{- $rules = append $rules (dict "to" $privateBlocks) }}
{{- end }}
{{- if $allow.cloudMetadataServer }}
{{- $rules = append $rules (dict "to" (list (dict "ipBlock" (dict "cidr" $metadata)))) }}
{{- end }}
{{- with concat $rules (.egress | default list) }}
{{- . | toYaml }}
{{- end }}
{{- end }}

{{- /* Pods with an access label may enter. Call with (dict "access" "hub" "policy" <networkPolicy> "port" "http"). */}}
{{- define "jupyterhub.netpol.ingress" -}}
- ports:
    - port: {{ .port }}
      protocol: TCP
  from:
    - podSelector:
        matchLabels:
          hub.jupyter.org/network-access-{{ .access }}: "true"
      {{- if eq .policy.interNamespaceAccessLabels "accept" }}
      namespaceSelector: {}
      {{- end }}
{{- end }}

{{- /* Anyone may enter these ports. */}}
{{- define "jupyterhub.netpol.open" -}}
{{- with .allowedIngressPorts }}
- ports:
    {{- range . }}
    - port: {{ . }}
      protocol: TCP
    {{- end }}
{{- end }}
{{- with .ingress }}
{{ . | toYaml }}
{{- end }}
{{- end }}
