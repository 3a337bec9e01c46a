{{/* What no schema can say: values that contradict each other, or that something cannot work with.
     Every refusal names the value and what to write instead. */}}
{{- define "interests.validate" -}}
{{- $v := .Values -}}
{{- $students := include "interests.students" . | fromJson -}}
{{- if gt (len (include "interests.fullname" .)) 28 -}}
{{- fail (printf "the name %s has more than 28 characters, and engines' names would not fit: set fullnameOverride to a shorter one" (include "interests.fullname" .)) -}}
{{- end -}}
{{- include "interests.validateParts" . -}}
{{- include "interests.validateGateway" . -}}
{{- if not $students -}}
{{- fail "students is empty: name at least one, for instance --set students.main.model.build=interests-small@9" -}}
{{- end -}}
{{- range $key, $student := $students -}}
{{- include "interests.validateStudent" (dict "root" $ "key" $key "student" $student) -}}
{{- end -}}
{{- $keys := keys $students -}}
{{- range $key, $student := $students -}}
{{- range $adapter, $_ := $student.adapters -}}
{{- if has $adapter $keys }}{{ fail (printf "students.%s.adapters.%s: another student or adapter has this key; choose another" $key $adapter) }}{{ end -}}
{{- $keys = append $keys $adapter -}}
{{- end -}}
{{- end -}}
{{- if and $v.defaultStudent (not (has $v.defaultStudent $keys)) -}}
{{- fail (printf "defaultStudent: there is no student %s; the students are: %s" $v.defaultStudent (join ", " (sortAlpha $keys))) -}}
{{- end -}}
{{- if and (not $v.defaultStudent) (gt (len $keys) 1) -}}
{{- fail (printf "defaultStudent is empty: say which student serves, one of: %s" (join ", " (sortAlpha $keys))) -}}
{{- end -}}
{{- include "interests.validateNetwork" . -}}
{{- include "interests.validateSecrets" . -}}
{{- end -}}

{{- define "interests.validateParts" -}}
{{- $v := .Values -}}
{{- if $v.trial.enabled -}}
{{- range $part := list "redis" "opensearch" -}}
{{- if (index $v $part).url }}{{ fail (printf "%s.url is set, and trial.enabled brings its own: choose one of the two" $part) }}{{ end -}}
{{- end -}}
{{- if or (ne (int $v.gateway.replicas) 1) (ne $v.gateway.autoscaling.kind "none") -}}
{{- fail "trial.enabled: each gateway would have an index of its own; set gateway.replicas to 1 and gateway.autoscaling.kind to none, or give redis.url and opensearch.url" -}}
{{- end -}}
{{- else -}}
{{- range $part := list "redis" "opensearch" -}}
{{- $given := index $v $part -}}
{{- if not $given.url -}}
{{- fail (printf "%s.url is empty: give the URL of yours, or try things with --set trial.enabled=true --set gateway.replicas=1" $part) -}}
{{- end -}}
{{- if regexMatch "://[^/,]*:[^/,]*@" $given.url -}}
{{- fail (printf "%s.url holds a password, which everybody could read in a config map: put it into a secret and name that in %s.passwordSecret.name" $part $part) -}}
{{- end -}}
{{- if and $given.tls.secret (not (regexMatch "^(rediss|rediss-cluster|https)://" $given.url)) -}}
{{- fail (printf "%s.tls.secret is set, but %s.url does not use TLS: begin it with %s" $part $part (ternary "rediss://" "https://" (eq $part "redis"))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $v.encoder -}}
{{- if and .claim .image }}{{ fail "encoder.claim and encoder.image are both set: the encoder lies in one of the two" }}{{ end -}}
{{- if and (or .claim .image) (not .folder) }}{{ fail "encoder.folder is empty: say where encoder.yaml lies, for instance all-minilm-l6-v2/1" }}{{ end -}}
{{- if and .url (not (or .claim .image)) }}{{ fail "encoder.url needs the encoder's manifest, too: name in encoder.claim or encoder.image where the built encoder lies, and encoder.folder" }}{{ end -}}
{{- end -}}
{{- end -}}

{{- define "interests.validateGateway" -}}
{{- $v := .Values -}}
{{- $owned := dict "port" "gateway.service.port (the pod's own is always 8080)" "data_dir" "nothing: it is the pod's volume" "drain_delay_s" "gateway.drainSeconds" "keys" "gateway.keys" "secret" "gateway.signingSecret" "secret_file" "gateway.signingSecret" "experiments_file" "gateway.experiments" "students" "students" "students_file" "students" "default_student" "defaultStudent" "encoder" "encoder" -}}
{{- range $part := list "redis" "opensearch" -}}
{{- range $name := list "url" "username" "password" "password_file" "tls" -}}
{{- $_ := set $owned (printf "%s_%s" $part $name) (printf "%s.%s" $part (ternary "passwordSecret" $name (hasPrefix "password" $name))) -}}
{{- end -}}
{{- end -}}
{{- range $name, $_ := $v.gateway.settings -}}
{{- with index $owned $name }}{{ fail (printf "gateway.settings.%s: the chart sets it; use %s" $name .) }}{{ end -}}
{{- end -}}
{{- include "interests.validateScaling" (dict "root" . "says" "gateway.autoscaling" "scaling" $v.gateway.autoscaling) -}}
{{- $metrics := $v.metrics -}}
{{- if $metrics.key -}}
{{- $key := index $v.gateway.keys $metrics.key -}}
{{- if not $key }}{{ fail (printf "metrics.key: gateway.keys has no %s" $metrics.key) }}{{ end -}}
{{- if not (has "metrics" (default list $key.rights)) }}{{ fail (printf "metrics.key: add metrics to gateway.keys.%s.rights, or Prometheus is refused" $metrics.key) }}{{ end -}}
{{- else if and $metrics.serviceMonitor.enabled $v.gateway.keys (not (index $v.gateway.settings "open_metrics")) -}}
{{- fail "metrics.serviceMonitor: /metrics asks for a key; name in metrics.key one of gateway.keys with the right metrics, or set gateway.settings.open_metrics to true" -}}
{{- end -}}
{{- if and $v.gateway.experimentsWatcher.enabled (not $v.gateway.experiments) }}{{ fail "gateway.experimentsWatcher.enabled: there is nothing to watch; give gateway.experiments, or leave it off" }}{{ end -}}
{{- if and $v.ingress.enabled (not $v.ingress.host) }}{{ fail "ingress.host is empty: say by which name callers reach the gateway" }}{{ end -}}
{{- end -}}

{{- define "interests.validateScaling" -}}
{{- $v := .root.Values -}}
{{- if gt (int .scaling.minReplicas) (int .scaling.maxReplicas) -}}
{{- fail (printf "%s.minReplicas is %d, more than maxReplicas %d: raise the one or lower the other" .says (int .scaling.minReplicas) (int .scaling.maxReplicas)) -}}
{{- end -}}
{{- if and (eq .scaling.kind "keda") (not $v.prometheus.url) -}}
{{- fail (printf "%s.kind is keda, which asks Prometheus: set prometheus.url, for instance http://prometheus-operated.monitoring:9090" .says) -}}
{{- end -}}
{{- if and (ne .scaling.kind "none") (not $v.metrics.serviceMonitor.enabled) -}}
{{- fail (printf "%s.kind is %s, which goes by metrics that Prometheus has collected: set metrics.serviceMonitor.enabled to true" .says .scaling.kind) -}}
{{- end -}}
{{- end -}}

{{- define "interests.validateStudent" -}}
{{- $says := printf "students.%s" .key -}}
{{- $model := .student.model -}}
{{- $given := compact (list $model.build $model.claim $model.image) -}}
{{- if not $given -}}
{{- fail (printf "%s has no manifest: say in %s.model where its student.yaml is: build (name@version, out of the engine image), claim (a volume) or image" $says $says) -}}
{{- end -}}
{{- if gt (len $given) 1 }}{{ fail (printf "%s.model: build, claim and image exclude each other; keep one" $says) }}{{ end -}}
{{- $own := (index .root.Values.students .key).model -}}
{{- if and $model.build (default dict $own).folder }}{{ fail (printf "%s.model.folder: what is built lies where its name says; leave it out" $says) }}{{ end -}}
{{- if and (not $model.build) (not $model.folder) -}}
{{- fail (printf "%s.model.folder is empty: say where student.yaml lies, for instance news-qwen/1" $says) -}}
{{- end -}}
{{- if and $model.build .student.adapters }}{{ fail (printf "%s.adapters: adapters lie beside a student in model.claim or model.image, not beside one that is built" $says) }}{{ end -}}
{{- include "interests.validateScaling" (dict "root" .root "says" (printf "%s.autoscaling" $says) "scaling" .student.autoscaling) -}}
{{- end -}}

{{- define "interests.validateNetwork" -}}
{{- $v := .Values -}}
{{- if $v.networkPolicy.enabled -}}
{{- if not $v.trial.enabled -}}
{{- range $part := list "redis" "opensearch" -}}
{{- if not (index $v.networkPolicy (printf "%sTo" $part)) -}}
{{- fail (printf "networkPolicy cuts the gateway from %s: say in networkPolicy.%sTo where %s.url leads, for instance [{ipBlock: {cidr: 10.0.0.0/8}}]" (title $part | replace "search" "Search") $part $part) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $v.encoder.url (not $v.networkPolicy.encoderTo) }}{{ fail "networkPolicy cuts the gateway from the encoder: say in networkPolicy.encoderTo where encoder.url leads" }}{{ end -}}
{{- if and $v.metrics.serviceMonitor.enabled (not $v.networkPolicy.prometheusFrom) -}}
{{- fail "networkPolicy cuts Prometheus off: say in networkPolicy.prometheusFrom where it asks from, for instance [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]" -}}
{{- end -}}
{{- if and $v.ingress.enabled (not $v.networkPolicy.gatewayFrom) -}}
{{- fail "networkPolicy cuts the ingress off: add its controller to networkPolicy.gatewayFrom, for instance [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress-nginx}}}]" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Secrets that a cluster which can be asked does not have. */}}
{{- define "interests.validateSecrets" -}}
{{- if lookup "v1" "ServiceAccount" .Release.Namespace "default" -}}
{{- $needed := list -}}
{{- range include "interests.secretFiles" . | fromJsonArray }}{{ $needed = append $needed (dict "name" .name "keys" (list .key) "says" .says) }}{{ end -}}
{{- range $key, $student := include "interests.students" . | fromJson -}}
{{- if $student.tls.secret }}{{ $needed = append $needed (dict "name" $student.tls.secret "keys" (list "ca.crt" "tls.crt" "tls.key") "says" (printf "students.%s.tls.secret" $key)) }}{{ end -}}
{{- end -}}
{{- range include "interests.tlsSecrets" . | fromJsonArray }}{{ $needed = append $needed . }}{{ end -}}
{{- range $secret := $needed -}}
{{- $found := lookup "v1" "Secret" $.Release.Namespace $secret.name -}}
{{- if not $found -}}
{{- fail (printf "%s names the secret %s, which is missing in the namespace %s: kubectl -n %s create secret generic %s %s" $secret.says $secret.name $.Release.Namespace $.Release.Namespace $secret.name (printf "--from-file=%s=FILE" (join "=FILE --from-file=" $secret.keys))) -}}
{{- end -}}
{{- range $key := $secret.keys -}}
{{- if not (hasKey (default dict $found.data) $key) -}}
{{- fail (printf "%s: the secret %s has no key %s, only: %s" $secret.says $secret.name $key (join ", " (sortAlpha (keys (default dict $found.data))))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
