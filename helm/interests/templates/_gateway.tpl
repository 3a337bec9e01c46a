{{- define "interests.secretMounts" -}}
{{- if include "interests.secretFiles" . | fromJsonArray -}}
- {name: secrets, mountPath: /etc/interests/secrets, readOnly: true}
{{- end }}
{{- range include "interests.tlsSecrets" . | fromJsonArray }}
- {name: tls-{{ .folder }}, mountPath: /etc/interests/tls/{{ .folder }}, readOnly: true}
{{- end }}
{{- end -}}

{{- define "interests.secretVolumes" -}}
{{- with include "interests.secretFiles" . | fromJsonArray -}}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- range . }}
      - secret:
          name: {{ .name }}
          items: [{key: {{ .key | quote }}, path: {{ .file }}}]
      {{- end }}
{{- end }}
{{- range include "interests.tlsSecrets" . | fromJsonArray }}
- name: tls-{{ .folder }}
  secret:
    secretName: {{ .name }}
    defaultMode: 0440
    items:
      {{- range .keys }}
      - {key: {{ . | quote }}, path: {{ . | quote }}}
      {{- end }}
{{- end }}
{{- end -}}

{{- define "interests.encoderInit" -}}
- name: encoder
  image: {{ .Values.encoder.image }}
  command:
    {{- include "interests.copy" (dict "from" "/encoders" "to" "/built") | nindent 4 }}
  resources:
    requests: {cpu: 100m, memory: 64Mi}
    limits: {memory: 256Mi}
  securityContext:
    {{- include "interests.containerSecurity" . | nindent 4 }}
  volumeMounts:
    - {name: encoder, mountPath: /built}
    - {name: tmp, mountPath: /tmp}
{{- end -}}

{{/* The demo's articles into the gateway's own index, its users into the trial's Redis. */}}
{{- define "interests.demoInit" -}}
- name: demo
  image: {{ include "interests.gatewayImage" . }}
  imagePullPolicy: {{ .Values.images.gateway.pullPolicy }}
  command:
    - sh
    - -ec
    - |
      python -m models.demo --out /tmp/demo
      interests index load /tmp/demo/articles.jsonl
      until interests signals load /tmp/demo/signals.jsonl; do sleep 2; done
  env:
    - {name: INTERESTS_CONFIG, value: /etc/interests/settings/settings.yaml}
  resources:
    requests: {cpu: 500m, memory: 256Mi}
    limits: {memory: 1Gi}
  securityContext:
    {{- include "interests.containerSecurity" . | nindent 4 }}
  volumeMounts:
    - {name: settings, mountPath: /etc/interests/settings, readOnly: true}
    {{- include "interests.secretMounts" . | nindent 4 }}
    - {name: data, mountPath: /var/lib/interests}
    - {name: tmp, mountPath: /tmp}
{{- end -}}
