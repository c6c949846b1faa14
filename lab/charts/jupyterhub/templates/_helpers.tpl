{{- /* Labels. Call with (dict "root" $ "component" "hub"). Selectors use the short set, which never changes between versions. */}}
{{- define "jupyterhub.selector" -}}
app: jupyterhub
release: {{ .root.Release.Name }}
component: {{ .component }}
{{- end }}

{{- define "jupyterhub.labels" -}}
{{ include "jupyterhub.selector" . }}
chart: {{ include "jupyterhub.chart" .root }}
heritage: {{ .root.Release.Service }}
app.kubernetes.io/name: jupyterhub
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ include "jupyterhub.chart" .root }}
{{- end }}

{{- /* Pods carry what stays the same between chart versions, so that a new version restarts them only if it must. */}}
{{- define "jupyterhub.podLabels" -}}
{{ include "jupyterhub.selector" . }}
app.kubernetes.io/name: jupyterhub
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "jupyterhub.chart" -}}
{{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") | trunc 63 }}
{{- end }}

{{- /* name:tag; an empty tag is the chart's application version. */}}
{{- define "jupyterhub.image" -}}
{{ .image.name }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- define "jupyterhub.pullSecrets" -}}
{{- $made := .root.Values.imagePullSecret }}
{{- $own := and $made.create $made.automaticReferenceInjection | ternary (list "image-pull-secret") list }}
{{- with concat $own (.root.Values.imagePullSecrets | default list) (.image.pullSecrets | default list) }}
imagePullSecrets:
  {{- range . }}
  - name: {{ kindIs "map" . | ternary (get (kindIs "map" . | ternary . dict) "name") . }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* Environment: name: text, or name: {valueFrom or value}. $(OTHER) is expanded by the kubelet, so the order is kept alphabetical. */}}
{{- define "jupyterhub.env" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  {{- if kindIs "map" $value }}
  {{- $value | toYaml | nindent 2 }}
  {{- else }}
  value: {{ $value | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* A generated secret: the value given, else the one in the cluster, else a random one. */}}
{{- define "jupyterhub.secret.keep" -}}
{{- $found := (lookup "v1" "Secret" .root.Release.Namespace "hub") | default dict }}
{{- $data := (get $found "data") | default dict }}
{{- if .given }}
{{- .given }}
{{- else if hasKey $data .key }}
{{- get $data .key | b64dec }}
{{- else }}
{{- .random }}
{{- end }}
{{- end }}

{{- define "jupyterhub.proxyToken" -}}
{{- $config := (get .Values.hub.config "ConfigurableHTTPProxy") | default dict }}
{{- include "jupyterhub.secret.keep" (dict "root" . "key" "hub.config.ConfigurableHTTPProxy.auth_token"
      "given" (.Values.proxy.secretToken | default (get $config "auth_token")) "random" (randAlphaNum 64)) }}
{{- end }}

{{- define "jupyterhub.cookieSecret" -}}
{{- $config := (get .Values.hub.config "JupyterHub") | default dict }}
{{- include "jupyterhub.secret.keep" (dict "root" . "key" "hub.config.JupyterHub.cookie_secret"
      "given" (.Values.hub.cookieSecret | default (get $config "cookie_secret")) "random" (randAlphaNum 64 | sha256sum)) }}
{{- end }}

{{- define "jupyterhub.cryptKeys" -}}
{{- $config := (get .Values.hub.config "CryptKeeper") | default dict }}
{{- include "jupyterhub.secret.keep" (dict "root" . "key" "hub.config.CryptKeeper.keys"
      "given" (join ";" (get $config "keys" | default list)) "random" (randAlphaNum 64 | sha256sum)) }}
{{- end }}

{{- /* A probe of a path on a named port. Call with (dict "probe" .. "path" .. "port" ..). */}}
{{- define "jupyterhub.probe" -}}
initialDelaySeconds: {{ .probe.initialDelaySeconds }}
periodSeconds: {{ .probe.periodSeconds }}
timeoutSeconds: {{ .probe.timeoutSeconds }}
failureThreshold: {{ .probe.failureThreshold }}
httpGet:
  path: {{ .path }}
  port: {{ .port }}
{{- end }}

{{- /* Files given as values: data (YAML or JSON by the path's ending), stringData or binaryData. Result: Secret keys. */}}
{{- define "jupyterhub.extraFiles.stringData" -}}
{{- range $key, $file := . }}
{{- if hasKey $file "stringData" }}
{{ $key | quote }}: {{ $file.stringData | toJson }}
{{- else if hasKey $file "data" }}
{{ $key | quote }}: {{ (hasSuffix ".json" $file.mountPath) | ternary ($file.data | toJson) ($file.data | toYaml) | toJson }}
{{- end }}
{{- end }}
{{- end }}

{{- define "jupyterhub.extraFiles.binaryData" -}}
{{- range $key, $file := . }}
{{- if hasKey $file "binaryData" }}
{{ $key | quote }}: {{ $file.binaryData | nospace | quote }}
{{- end }}
{{- end }}
{{- end }}
