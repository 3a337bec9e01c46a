{{/* The beginning of all names. */}}
{{- define "interests.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}{{ .Release.Name }}{{- else -}}{{ .Release.Name }}-{{ $name }}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "interests.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "interests.labels" -}}
{{ include "interests.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "interests.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "interests.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "interests.gatewayImage" -}}
{{ .Values.images.gateway.repository }}:{{ default .Chart.AppVersion .Values.images.gateway.tag }}
{{- end -}}

{{- define "interests.engineImage" -}}
{{- $values := .root.Values -}}
{{- default (printf "%s:%s" $values.images.engine.repository (default .root.Chart.AppVersion $values.images.engine.tag)) .student.image -}}
{{- end -}}

{{/* All students with their defaults filled in, as JSON by key. */}}
{{- define "interests.students" -}}
{{- $all := dict -}}
{{- range $key, $student := .Values.students -}}
{{- $whole := mergeOverwrite (deepCopy $.Values.studentDefaults) (deepCopy (default dict $student)) -}}
{{- $model := $whole.model -}}
{{- if $model.build -}}
{{- $_ := set $model "folder" (replace "@" "/" $model.build) -}}
{{- end -}}
{{- $_ := set $whole "path" (printf "/students/%s/%s" $key (trimAll "/" $model.folder)) -}}
{{- $_ := set $whole "name" (printf "%s-engine-%s" (include "interests.fullname" $) $key) -}}
{{- $_ := set $whole "scheme" (ternary "https" "http" (ne $whole.tls.secret "")) -}}
{{- $autoscaled := ne $whole.autoscaling.kind "none" -}}
{{- $_ := set $whole "most" (ternary $whole.autoscaling.maxReplicas $whole.replicas $autoscaled) -}}
{{- $_ := set $all $key $whole -}}
{{- end -}}
{{- toJson $all -}}
{{- end -}}

{{/* What the security standard "restricted" asks of a pod and of a container. */}}
{{- define "interests.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "interests.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Where pods go. Of a gateway, or of a student: `where` has the values. */}}
{{- define "interests.placing" -}}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: {{ $.where.spread }}
    labelSelector:
      matchLabels:
        {{- include "interests.selector" $.root | nindent 8 }}
        {{- toYaml $.labels | nindent 8 }}
  {{- end }}
{{- with .where.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .where.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .where.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The volume that holds a student, and the init container that fills it where that has to be done.
     Gateways need all but the weights. */}}
{{- define "interests.studentVolume" -}}
{{- if .student.model.claim -}}
- name: student-{{ .key }}
  persistentVolumeClaim: {claimName: {{ .student.model.claim }}, readOnly: true}
{{- else -}}
- name: student-{{ .key }}
  emptyDir: {sizeLimit: {{ .student.model.size }}}
{{- end -}}
{{- end -}}

{{- define "interests.studentInit" -}}
{{- if not .student.model.claim -}}
- name: student-{{ .key }}
  securityContext:
    {{- include "interests.containerSecurity" . | nindent 4 }}
  {{- if .student.model.build }}
  image: {{ include "interests.engineImage" . }}
  imagePullPolicy: {{ .root.Values.images.engine.pullPolicy }}
  command: [interests, students, build, {{ .student.model.build | quote }}, --into, /built/{{ .key }}]
  env:
    - {name: HOME, value: /tmp}
  {{- else }}
  image: {{ .student.model.image }}
  command:
    {{- include "interests.copy" (dict "from" "/students" "to" (printf "/built/%s" .key) "but" (ternary "*.safetensors" "" .light)) | nindent 4 }}
  {{- end }}
  resources:
    requests: {cpu: 500m, memory: 512Mi}
    limits: {memory: 2Gi}
  volumeMounts:
    - {name: student-{{ .key }}, mountPath: /built/{{ .key }}}
    - {name: tmp, mountPath: /tmp}
{{- end -}}
{{- end -}}

{{/* A command that copies files, as they lie, into a volume. */}}
{{- define "interests.copy" -}}
- sh
- -ec
- |
  cd {{ .from }}
  find . -type f{{ with .but }} ! -name '{{ . }}'{{ end }} | while read -r file; do
    mkdir -p "{{ .to }}/${file%/*}"
    cp "$file" "{{ .to }}/$file"
  done
{{- end -}}

{{/* Ports that URLs, separated by commas, lead to: `{urls, port}`, as JSON. */}}
{{- define "interests.ports" -}}
{{- $found := list -}}
{{- $scheme := regexFind "^[a-z-]+://" .urls -}}
{{- range splitList "," .urls -}}
{{- $own := default $scheme (regexFind "^[a-z-]+://" (trim .)) -}}
{{- $address := last (splitList "@" (first (splitList "/" (trimPrefix $own (trim .))))) -}}
{{- $port := regexFind ":[0-9]+$" $address | trimPrefix ":" -}}
{{- $usual := default (ternary 443 80 (eq $own "https://")) $.usual -}}
{{- $found = append $found (int (default $usual $port)) -}}
{{- end -}}
{{- $found | uniq | toJson -}}
{{- end -}}
