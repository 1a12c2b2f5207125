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
