{{- define "marketfeed.nats.config" -}}
{{- $name := include "marketfeed.nats.name" . -}}
server_name: $POD_NAME
listen: "0.0.0.0:4222"
http: "0.0.0.0:8222"

jetstream {
  store_dir: "/data"
  max_memory_store: {{ .Values.nats.jetstream.memory }}
  max_file_store: {{ .Values.nats.jetstream.file }}
}
{{- if gt (int .Values.nats.replicas) 1 }}

# When it is asked to stop it hands over what it leads, then clients have 10 s to go by themselves, and are closed in the rest.
lame_duck_grace_period: "10s"
lame_duck_duration: "30s"

cluster {
  name: {{ $name }}
  listen: "0.0.0.0:6222"
  routes: [
    {{- range $i := until (int .Values.nats.replicas) }}
    "nats://{{ $name }}-{{ $i }}.{{ $name }}-headless.{{ $.Release.Namespace }}.svc:6222"
    {{- end }}
  ]
}
{{- end }}
{{- end }}

{{/* Refuses what no upgrade can do: (dict "root" $ "found" <the StatefulSet that is there>), an empty one without a cluster. */}}
{{- define "marketfeed.nats.unchangeable" -}}
{{- with .found.spec }}
{{- $wanted := $.root.Values.nats }}
{{- $end := "to change it, uninstall the release and install it again (docs/installing.md, Upgrading)" }}
{{- if and .replicas (ne (int .replicas) (int $wanted.replicas)) }}
{{- fail (printf "nats.replicas is %d and %d are there: one server and three keep streams in other ways, and all would be lost; %s" (int $wanted.replicas) (int .replicas) $end) }}
{{- end }}
{{- $claims := .volumeClaimTemplates | default list }}
{{- if ne (gt (len $claims) 0) $wanted.persistence.enabled }}
{{- fail (printf "nats.persistence.enabled is %t and its servers began otherwise: a StatefulSet keeps its volumes; %s" $wanted.persistence.enabled $end) }}
{{- end }}
{{- range $claims }}
{{- $size := .spec.resources.requests.storage }}
{{- if ne (include "marketfeed.kib" $size) (include "marketfeed.kib" $wanted.persistence.size) }}
{{- fail (printf "nats.persistence.size is %s and its volumes have %s: a StatefulSet keeps them; %s" $wanted.persistence.size $size $end) }}
{{- end }}
{{- /* Where none is said, the API server leaves it out of the template. */}}
{{- $class := .spec.storageClassName | default "" }}
{{- if ne $class $wanted.persistence.storageClassName }}
{{- fail (printf "nats.persistence.storageClassName is %q and its volumes have %q: a StatefulSet keeps them; %s" $wanted.persistence.storageClassName $class $end) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
