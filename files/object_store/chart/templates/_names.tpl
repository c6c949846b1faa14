{{- define "labels" -}}
app.kubernetes.io/name: object-store
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "container" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
terminationMessagePolicy: FallbackToLogsOnError
imagePullPolicy: IfNotPresent
{{- end }}

{{- define "budget" -}}
- {name: BUDGET, value: {{ include "bytes" .Values.volume.budget | quote }}}
- {name: RESERVE_PERCENT, value: {{ .Values.volume.reservePercent | quote }}}
- {name: SYNC_SECONDS, value: {{ .Values.volume.syncSeconds | quote }}}
{{- end }}

{{- /* A size of Kubernetes in bytes. The role lets whole numbers with Mi, Gi or Ti through. */}}
{{- define "bytes" -}}
{{- $units := dict "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- $unit := regexFind "[MGT]i$" . -}}
{{- if not $unit }}{{ fail (printf "the size %s is none: write a whole number with Mi, Gi or Ti" .) }}{{ end -}}
{{- mul (trimSuffix $unit . | int64) (get $units $unit | int64) -}}
{{- end }}
