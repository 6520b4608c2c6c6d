# Lists the targets of the Makefile: `target: ## text` lines under `#: heading` lines.
/^#: / { printf "\n%s\n", substr($0, 4); next }
/^[a-z][a-z %-]*:.*## / {
  names = $0; sub(/:.*/, "", names); gsub(/%/, "NAME", names)
  text = $0; sub(/.*## /, "", text); gsub(/\$\$/, "$", text)
  n = split(names, name, " ")
  for (i = 1; i <= n; i++) printf "  %-19s %s\n", name[i], text
}
