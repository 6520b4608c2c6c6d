# Lists the targets of the Makefile: `target: ## text` lines under `#: heading` lines. A file of
# texts in another language may come before it.
FILENAME != "Makefile" { if (split($0, part, "\t") == 2) other[part[1]] = part[2]; next }
/^#: / { printf "\n%s\n", ($0 in other) ? other[$0] : substr($0, 4); next }
/^[a-z][a-z %-]*:.*## / {
  names = $0; sub(/:.*/, "", names)
  text = $0; sub(/.*## /, "", text); gsub(/\$\$/, "$", text)
  n = split(names, name, " ")
  for (i = 1; i <= n; i++) {
    said = (name[i] in other) ? other[name[i]] : text
    gsub(/%/, "NAME", name[i])
    printf "  %-19s %s\n", name[i], said
  }
}
