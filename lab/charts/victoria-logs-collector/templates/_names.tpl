{{- define "selector" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/name: victoria-logs-collector
{{- end }}

{{- define "labels" -}}
{{ include "selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* As the published chart has them: sorted, with two dashes; lists joined by commas, a flag without a value. The flags of several
destinations stand in the order of the destinations. */}}
{{- define "arguments" -}}
{{- $all := dict "kubernetesCollector" true }}
{{- range $name, $value := .Values.collector }}
{{- $_ := set $all (printf "kubernetesCollector.%s" $name) (kindIs "slice" $value | ternary (join "," $value) $value) }}
{{- end }}
{{- range $name, $value := mergeOverwrite $all .Values.extraArgs }}
- --{{ $name }}{{ if ne (toString $value) "true" }}={{ $value }}{{ end }}
{{- end }}
{{- range $target := .Values.remoteWrite }}
{{- $native := and (not (urlParse .url).path) (eq (.format | default "native") "native") }}
- --remoteWrite.url={{ .url }}{{ if $native }}/insert/native{{ end }}
- --remoteWrite.format={{ .format | default "native" }}
- --remoteWrite.maxDiskUsagePerURL={{ .maxDiskUsagePerURL | default 0 }}
{{- end }}
{{- end }}
