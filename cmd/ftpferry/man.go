package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/ftpferry/ftpferry/agent/control"
)

func (p *program) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man FOLDER",
		Short: "Write the manual pages",
		Long: `Writes a manual page for each command into the folder, which is made if it is not
there. Their date is $SOURCE_DATE_EPOCH, in seconds since 1970, and else today.`,
		Example: `  ftpferry man man1
  man ./man1/ftpferry-run.1`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, arguments []string) error { return p.man(c.Root(), arguments[0]) },
	}
}

func (p *program) man(root *cobra.Command, folder string) error {
	date := time.Now()
	if text := p.env("SOURCE_DATE_EPOCH"); text != "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return exit{control.ExitUsage, fmt.Errorf("$SOURCE_DATE_EPOCH: %q is no number of seconds", text)}
		}
		date = time.Unix(seconds, 0)
	}
	date = date.UTC()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return exit{control.ExitNeedsPerson, err}
	}
	root.DisableAutoGenTag = true // it would have the date in another place, too
	header := &doc.GenManHeader{Section: "1", Date: &date, Source: "ftpferry " + versionOf().Version, Manual: "ftpferry"}
	if err := doc.GenManTree(root, header, folder); err != nil {
		return exit{control.ExitNeedsPerson, fmt.Errorf("manual pages: %w", err)}
	}
	return nil
}
