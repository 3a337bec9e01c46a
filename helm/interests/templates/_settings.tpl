{{/* The gateway's settings file: what the chart knows, over `gateway.settings`. */}}
{{- define "interests.settings" -}}
{{- $v := .Values -}}
{{- $name := include "interests.fullname" . -}}
{{- $settings := dict "host" "0.0.0.0" "log_level" "info" -}}
{{- $settings = mergeOverwrite $settings (deepCopy $v.gateway.settings) -}}
{{- $ours := dict "port" 8080 "data_dir" "/var/lib/interests" "drain_delay_s" $v.gateway.drainSeconds -}}
{{- if $v.trial.enabled -}}
{{- $_ := set $ours "redis_url" (printf "redis://%s-redis:6379/0" $name) -}}
{{- else -}}
{{- range $part := list "redis" "opensearch" -}}
{{- $given := index $v $part -}}
{{- $_ := set $ours (printf "%s_url" $part) $given.url -}}
{{- with $given.username }}{{ $_ := set $ours (printf "%s_username" $part) . }}{{ end -}}
{{- if $given.passwordSecret.name -}}
{{- $_ := set $ours (printf "%s_password_file" $part) (printf "/etc/interests/secrets/%s-password" $part) -}}
{{- end -}}
{{- with include "interests.tlsSettings" (dict "part" $part "tls" $given.tls) | fromJson }}{{ $_ := set $ours (printf "%s_tls" $part) . }}{{ end -}}
{{- end -}}
{{- end -}}
{{- if $v.gateway.signingSecret.name }}{{ $_ := set $ours "secret_file" "/etc/interests/secrets/signing" }}{{ end -}}
{{- if $v.gateway.experiments }}{{ $_ := set $ours "experiments_file" "/etc/interests/experiments/experiments.yaml" }}{{ end -}}
{{- $keys := dict -}}
{{- range $caller, $key := $v.gateway.keys -}}
{{- $_ := set $keys $caller (dict "secret_file" (printf "/etc/interests/secrets/key-%s" $caller) "rights" (default (list "interests" "signals") $key.rights)) -}}
{{- end -}}
{{- if $keys }}{{ $_ := set $ours "keys" $keys }}{{ end -}}
{{- with include "interests.encoderSettings" . | fromJson }}{{ $_ := set $ours "encoder" . }}{{ end -}}
{{- $_ := set $ours "students_file" "/etc/interests/students/students.yaml" -}}
{{- toYaml (mergeOverwrite $settings $ours) -}}
{{- end -}}

{{/* The gateway's file of students. */}}
{{- define "interests.studentsFile" -}}
{{- $students := dict -}}
{{- range $key, $student := include "interests.students" . | fromJson -}}
{{- $engines := list -}}
{{- range $i := until (int $student.most) -}}
{{- $engines = append $engines (printf "%s://%s-%d.%s.%s.svc:8001" $student.scheme $student.name $i $student.name $.Release.Namespace) -}}
{{- end -}}
{{- $one := dict "manifest" (printf "%s/student.yaml" $student.path) "engines" $engines "window" (int $student.window) "queue" (int $student.queue) -}}
{{- if $student.timeoutMs }}{{ $_ := set $one "timeout_ms" (int $student.timeoutMs) }}{{ end -}}
{{- if $student.apiKeySecret.name }}{{ $_ := set $one "api_key_file" (printf "/etc/interests/secrets/engine-%s" $key) }}{{ end -}}
{{- if $student.tls.secret }}{{ $_ := set $one "tls" (dict "ca_file" (printf "/etc/interests/tls/engine-%s/ca.crt" $key)) }}{{ end -}}
{{- $_ := set $students $key $one -}}
{{- range $adapter, $of := $student.adapters -}}
{{- $_ := set $students $adapter (mergeOverwrite (deepCopy $one) (dict "manifest" (printf "/students/%s/%s/student.yaml" $key (trimAll "/" $of.folder)))) -}}
{{- end -}}
{{- end -}}
{{- toYaml (dict "default" (default (keys $students | first) .Values.defaultStudent) "students" $students) -}}
{{- end -}}

{{/* TLS to a part, as its group of settings; nothing where no secret is named and all is checked. */}}
{{- define "interests.tlsSettings" -}}
{{- $tls := dict -}}
{{- $folder := printf "/etc/interests/tls/%s" .part -}}
{{- if .tls.secret -}}
{{- with .tls.ca }}{{ $_ := set $tls "ca_file" (printf "%s/%s" $folder .) }}{{ end -}}
{{- with .tls.cert }}{{ $_ := set $tls "cert_file" (printf "%s/%s" $folder .) }}{{ end -}}
{{- with .tls.key }}{{ $_ := set $tls "key_file" (printf "%s/%s" $folder .) }}{{ end -}}
{{- end -}}
{{- if not .tls.verify }}{{ $_ := set $tls "verify" false }}{{ end -}}
{{- toJson $tls -}}
{{- end -}}

{{- define "interests.encoderSettings" -}}
{{- $encoder := dict -}}
{{- with .Values.encoder -}}
{{- if or .claim .image -}}
{{- $_ := set $encoder "manifest" (printf "/encoders/%s/encoder.yaml" (trimAll "/" .folder)) -}}
{{- with .url }}{{ $_ := set $encoder "url" . }}{{ end -}}
{{- if .apiKeySecret.name }}{{ $_ := set $encoder "api_key_file" "/etc/interests/secrets/encoder" }}{{ end -}}
{{- end -}}
{{- end -}}
{{- toJson $encoder -}}
{{- end -}}

{{/* Every secret that is read from a file: `{file, name, key, says}`, as JSON. */}}
{{- define "interests.secretFiles" -}}
{{- $v := .Values -}}
{{- $files := list -}}
{{- if not $v.trial.enabled -}}
{{- range $part := list "redis" "opensearch" -}}
{{- $secret := (index $v $part).passwordSecret -}}
{{- $files = append $files (dict "file" (printf "%s-password" $part) "name" $secret.name "key" $secret.key "says" (printf "%s.passwordSecret" $part)) -}}
{{- end -}}
{{- end -}}
{{- with $v.gateway.signingSecret }}{{ $files = append $files (dict "file" "signing" "name" .name "key" .key "says" "gateway.signingSecret") }}{{ end -}}
{{- with $v.encoder.apiKeySecret }}{{ $files = append $files (dict "file" "encoder" "name" .name "key" .key "says" "encoder.apiKeySecret") }}{{ end -}}
{{- range $caller, $key := $v.gateway.keys }}{{ $files = append $files (dict "file" (printf "key-%s" $caller) "name" $key.secret.name "key" $key.secret.key "says" (printf "gateway.keys.%s.secret" $caller)) }}{{ end -}}
{{- range $key, $student := include "interests.students" . | fromJson }}{{ $files = append $files (dict "file" (printf "engine-%s" $key) "name" $student.apiKeySecret.name "key" $student.apiKeySecret.key "says" (printf "students.%s.apiKeySecret" $key)) }}{{ end -}}
{{- $named := list -}}
{{- range $files }}{{ if .name }}{{ $named = append $named . }}{{ end }}{{ end -}}
{{- toJson $named -}}
{{- end -}}

{{/* Every secret with certificates: `{folder, name, keys, says}`, as JSON. */}}
{{- define "interests.tlsSecrets" -}}
{{- $v := .Values -}}
{{- $found := list -}}
{{- if not $v.trial.enabled -}}
{{- range $part := list "redis" "opensearch" -}}
{{- $tls := (index $v $part).tls -}}
{{- if $tls.secret }}{{ $found = append $found (dict "folder" $part "name" $tls.secret "keys" (compact (list $tls.ca $tls.cert $tls.key)) "says" (printf "%s.tls.secret" $part)) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- range $key, $student := include "interests.students" . | fromJson -}}
{{- if $student.tls.secret }}{{ $found = append $found (dict "folder" (printf "engine-%s" $key) "name" $student.tls.secret "keys" (list "ca.crt") "says" (printf "students.%s.tls.secret" $key)) }}{{ end -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}
