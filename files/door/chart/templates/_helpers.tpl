{{- define "door.selector" -}}
app.kubernetes.io/name: door
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "door.labels" -}}
{{ include "door.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
