{{- define "marketfeed.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* The beginning of all names. 40 characters leave room for the longest end and for what Kubernetes adds. */}}
{{- define "marketfeed.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- $name := include "marketfeed.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "marketfeed.operator.name" -}}
{{ include "marketfeed.fullname" . }}-operator
{{- end }}

{{- define "marketfeed.nats.name" -}}
{{ include "marketfeed.fullname" . }}-nats
{{- end }}

{{- define "marketfeed.simulator.name" -}}
{{ include "marketfeed.fullname" . }}-exchange-sim
{{- end }}

{{- define "marketfeed.leave.name" -}}
{{ include "marketfeed.fullname" . }}-leave
{{- end }}

{{- define "marketfeed.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "marketfeed.operator.name" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.create is false: write the name of an account that is there to serviceAccount.name" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "marketfeed.image" -}}
{{- include "marketfeed.imageOf" (merge (dict "tag" (.Values.image.tag | default .Chart.AppVersion)) .Values.image) }}
{{- end }}

{{/* An image's name, from its repository and its tag or digest. */}}
{{- define "marketfeed.imageOf" -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag }}
{{- end }}
{{- end }}

{{/* What tells the pods of a component: (dict "root" $ "component" "operator"). It can never be changed. */}}
{{- define "marketfeed.selectorLabels" -}}
app.kubernetes.io/name: {{ include "marketfeed.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Labels of an object; the same dictionary, with "extra" ones. What selects goes over what is said. */}}
{{- define "marketfeed.labels" -}}
{{- $own := fromYaml (include "marketfeed.selectorLabels" .) }}
{{- $_ := set $own "app.kubernetes.io/version" .root.Chart.AppVersion }}
{{- $_ := set $own "app.kubernetes.io/managed-by" .root.Release.Service }}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") }}
{{- toYaml (merge $own (.extra | default dict) .root.Values.commonLabels) }}
{{- end }}

{{/* Pods run as those of feeds do (operator/src/build/pod.rs). */}}
{{- define "marketfeed.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "marketfeed.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Metadata of a pod: (dict "root" $ "component" "..." "values" .Values.operator "annotations" (dict)). Nothing in it
changes with the chart's version: a new one would restart NATS. */}}
{{- define "marketfeed.podMetadata" -}}
{{- with merge (dict) (.annotations | default dict) .values.podAnnotations -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{ end -}}
labels:
  {{- $own := fromYaml (include "marketfeed.selectorLabels" .) }}
  {{- toYaml (merge $own .values.podLabels .root.Values.commonLabels) | nindent 2 }}
{{- end }}

{{/* Where a pod runs: the same dictionary; "alone" says that not two of them should be on one node. */}}
{{- define "marketfeed.scheduling" -}}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .values.affinity }}
affinity:
  {{- toYaml .values.affinity | nindent 2 }}
{{- else if .alone }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "marketfeed.selectorLabels" . | nindent 14 }}
{{- end }}
{{- end }}

{{/* Refuses variables of the operator that are options of its own. */}}
{{- define "marketfeed.operator.extraEnv" -}}
{{- range .Values.operator.extraEnv }}
{{- if hasPrefix "MARKETFEED_" .name }}
{{- fail (printf "operator.extraEnv has %s: variables that begin so are the operator's options. Where the chart passes a flag, that goes over it; elsewhere the operator would do what its rights and the uninstall hook do not know of. Write the chart's value" .name) }}
{{- end }}
{{- end }}
{{- with .Values.operator.extraEnv }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{/* The Lease that it takes: the same for all that look after the same feeds (operator/src/controller/place.rs). */}}
{{- define "marketfeed.operator.lease" -}}
marketfeed-operator{{ with .Values.operator.watchNamespace }}-{{ . }}{{ end }}
{{- end }}

{{/* Hosts by which feeds in any namespace reach this release's NATS and simulator. */}}
{{- define "marketfeed.nats.host" -}}
{{ include "marketfeed.nats.name" . }}.{{ .Release.Namespace }}.svc
{{- end }}

{{- define "marketfeed.simulator.host" -}}
{{ include "marketfeed.simulator.name" . }}.{{ .Release.Namespace }}.svc
{{- end }}

{{/* A size such as 2Gi in KiB. */}}
{{- define "marketfeed.kib" -}}
{{- $factors := dict "Ki" 1 "Mi" 1024 "Gi" 1048576 "Ti" 1073741824 "Pi" 1099511627776 -}}
{{- mul (regexFind "^[0-9]+" . | int64) (get $factors (regexFind "[KMGTP]i$" .)) -}}
{{- end }}

{{/* Whose feeds are looked after, for `run` and `leave` alike. */}}
{{- define "marketfeed.place" -}}
{{- if and .Values.operator.watchNamespace .Values.operator.exceptNamespaces }}
{{- fail "operator.watchNamespace and operator.exceptNamespaces are both there: an operator of one namespace leaves all others alone anyway" }}
{{- end }}
{{- with .Values.operator.watchNamespace }}
- --watch-namespace={{ . }}
{{- end }}
{{- range .Values.operator.exceptNamespaces }}
- --except-namespace={{ . }}
{{- end }}
{{- end }}
