{{- /* What all pods have in common. Each takes (dict "root" $ "component" NAME). A pod that asks Kubernetes has "token" true. */ -}}

{{- define "labels" -}}
app.kubernetes.io/name: {{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{- define "pod" -}}
automountServiceAccountToken: {{ .token | default false }}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  fsGroup: 1000
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "container" -}}
image: {{ .image | default .root.Values.image }}
imagePullPolicy: IfNotPresent
terminationMessagePolicy: FallbackToLogsOnError
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- define "store" -}}
{{- range list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" "AWS_ENDPOINT_URL" "AWS_DEFAULT_REGION" "S3_PREFIX" }}
- name: {{ . }}
  valueFrom: {secretKeyRef: {name: {{ $.root.Values.store.secret }}, key: {{ . }}}}
{{- end }}
- {name: METALWORKS_MODEL_DATA_URL, value: $(S3_PREFIX)}
{{- end }}

{{- define "token" -}}
- name: token
  secret:
    secretName: model-registry
    defaultMode: 0440
    items: [{key: {{ . }}, path: token}]
{{- end }}

{{- /* A CronJob's spec up to its container: (dict "root" $ "component" NAME "account" NAME "schedule" CRON). */ -}}
{{- define "cronjob" -}}
schedule: {{ .schedule | quote }}
concurrencyPolicy: Forbid
startingDeadlineSeconds: 7200
successfulJobsHistoryLimit: 3
failedJobsHistoryLimit: 3
jobTemplate:
  metadata:
    labels: {{- include "labels" . | nindent 6 }}
  spec:
    backoffLimit: 1
    activeDeadlineSeconds: {{ .root.Values.deadline }}
{{- end }}
