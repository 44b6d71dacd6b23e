{{- define "turnstile.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "turnstile.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "turnstile.labels" -}}
{{ include "turnstile.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "turnstile.secret" -}}
{{ .Values.secrets.existing | default (include "turnstile.name" .) }}
{{- end }}

{{- define "turnstile.upstreams" -}}
{{- $all := .Values.upstreams }}
{{- if .Values.gateway.headlessService.enabled }}
{{- $all = append $all (printf "dns+http://%s-gateways:%v" (include "turnstile.name" .) .Values.gateway.headlessService.port) }}
{{- end }}
{{- if not $all }}{{ fail "give upstreams, or gateway.headlessService.enabled=true" }}{{ end }}
{{- join "," $all }}
{{- end }}
