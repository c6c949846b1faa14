{{- define "labels" -}}
app.kubernetes.io/name: mlflow
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "hosts" -}}
{{- $ns := .Release.Namespace -}}
{{- $names := list "mlflow" (printf "mlflow.%s" $ns) (printf "mlflow.%s.svc" $ns) (printf "mlflow.%s.svc.*" $ns) "localhost" "127.0.0.1" -}}
{{- $all := list -}}
{{- range concat $names .Values.hosts }}{{ $all = concat $all (list . (printf "%s:*" .)) }}{{ end -}}
{{- join "," $all -}}
{{- end }}
