{{- define "selector" -}}
app: server
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/name: victoria-logs-single
{{- end }}

{{- define "labels" -}}
app.kubernetes.io/component: server
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/name: victoria-logs-single
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* As the published chart has them: sorted, with two dashes, and a flag without a value. */}}
{{- define "arguments" -}}
{{- range $name, $value := . }}
- --{{ $name }}{{ if ne (toString $value) "true" }}={{ $value }}{{ end }}
{{- end }}
{{- end }}
