package main

import "github.com/spf13/cobra"

// examples are shown by --help and in the manual pages, by the path of the command. Commands that have one of their own are not here.
var examples = map[string]string{
	"ftpferry": `  ftpferry check
  ftpferry plan
  ftpferry run`,
	"ftpferry alert test": `  ftpferry alert test
  ftpferry alert test ops --json`,
	"ftpferry approve": "  ftpferry plan website && ftpferry approve website",
	"ftpferry check": `  ftpferry -c agent.toml check
  ftpferry check --state`,
	"ftpferry completion bash":       "  ftpferry completion bash >/etc/bash_completion.d/ftpferry",
	"ftpferry completion fish":       "  ftpferry completion fish >~/.config/fish/completions/ftpferry.fish",
	"ftpferry completion powershell": "  ftpferry completion powershell >>$PROFILE",
	"ftpferry completion zsh":        "  ftpferry completion zsh >/usr/local/share/zsh/site-functions/_ftpferry",
	"ftpferry config schema":         "  ftpferry config schema >agent.schema.json",
	"ftpferry config show":           "  ftpferry config show",
	"ftpferry doctor":                "  ftpferry doctor acme",
	"ftpferry explain":               "  ftpferry explain website css/site.css",
	"ftpferry get": `  ftpferry get acme:/reports/2026.csv
  ftpferry get -r --resume acme:/pub/iso downloads/
  ftpferry get acme:db.sql.gz - | gunzip | psql`,
	"ftpferry health": "  ftpferry health --json",
	"ftpferry history": `  ftpferry history --since 24h --sync website
  ftpferry history --json --since 2026-11-01`,
	"ftpferry ls": `  ftpferry ls acme:/htdocs -l
  ftpferry ls -R --json acme: | jq -r .path`,
	"ftpferry init": `  ftpferry init
  ftpferry init --yes --server-address ftp.example.com --user mirror --password-env ACME_PASSWORD --local www --remote /htdocs --direction up`,
	"ftpferry once": `  ftpferry once
  ftpferry once website --verbose
  ftpferry once website --full`,
	"ftpferry pause": `  ftpferry pause website --reason 'moving the disk'
  ftpferry pause --server acme --for 2h --now`,
	"ftpferry reload": "  ftpferry check && ftpferry reload",
	"ftpferry resume": "  ftpferry resume website",
	"ftpferry plan":   "  ftpferry plan website --json",
	"ftpferry put": `  ftpferry put report.csv acme:/in/
  ftpferry put -r public acme:/htdocs --force
  pg_dump shop | gzip | ftpferry put - acme:/backup/shop.sql.gz`,
	"ftpferry queue": "  ftpferry queue --state dead",
	"ftpferry queue list": `  ftpferry queue list --sync website
  ftpferry queue list --json --state waiting`,
	"ftpferry queue retry":  "  ftpferry queue retry --state dead",
	"ftpferry queue drop":   "  ftpferry queue drop --path 'tmp/**'",
	"ftpferry run":          "  ftpferry -c /etc/ftpferry/agent.toml run",
	"ftpferry state backup": "  ftpferry state backup /var/backups/ftpferry.db --force",
	"ftpferry status": `  ftpferry status
  ftpferry status --watch
  ftpferry status website --json`,
	"ftpferry events": `  ftpferry events
  ftpferry events --sync website --last 100 --json`,
}

func addExamples(c *cobra.Command) {
	if text, ok := examples[c.CommandPath()]; ok {
		c.Example = text
	}
	for _, child := range c.Commands() {
		addExamples(child)
	}
}
