package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/state"
)

// shownJobs is how many jobs are listed for people who do not say how many.
const shownJobs = 100

// jobFlags are the options that choose jobs.
type jobFlags struct {
	filter control.JobFilter
	path   string
	all    bool
}

func (f *jobFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.filter.Sync, "sync", "", "only jobs of this `sync`")
	c.Flags().StringVar(&f.filter.Server, "server", "", "only jobs for this `server`")
	c.Flags().StringVar(&f.filter.State, "state", "", "only jobs in this `state`: dead, running, due or waiting")
	c.Flags().StringVar(&f.filter.Kind, "kind", "", "only jobs of this `kind`: upload, download, delete_remote, scan, ...")
	c.Flags().StringVar(&f.path, "path", "", "only jobs on paths that the `pattern` matches, and on what is below them")
}

// chosen returns the filter.
func (f *jobFlags) chosen() control.JobFilter {
	f.filter.Path = state.Text(f.path)
	f.filter.Kind = strings.ReplaceAll(f.filter.Kind, " ", "_") // as they are shown
	return f.filter
}

// choosesNothing reports that no option was given.
func (f *jobFlags) choosesNothing() bool {
	return f.filter.Sync == "" && f.filter.Server == "" && f.filter.State == "" && f.filter.Kind == "" && f.path == ""
}

func (p *program) queueCommand() *cobra.Command {
	bare := p.queueListCommand()
	c := &cobra.Command{
		Use:   "queue",
		Short: "Show the jobs that are left, try them again, or drop them",
		Long:  bare.Long + "\n\n\"ftpferry queue\" is \"ftpferry queue list\".",
		Args:  cobra.NoArgs,
		RunE:  bare.RunE,
	}
	c.Flags().AddFlagSet(bare.Flags())
	c.AddCommand(p.queueListCommand(), p.queueRetryCommand(), p.queueDropCommand())
	return c
}

func (p *program) queueListCommand() *cobra.Command {
	flags := &jobFlags{}
	c := &cobra.Command{
		Use:   "list",
		Short: "List jobs: the dead ones first, then those running, due and waiting",
		Long: `Lists jobs: the dead ones first, then those running, due and waiting, and the
numbers per sync, with what keeps a sync from going on. Dead jobs wait for a
person: their reason says why. The others take care of themselves.

A pattern for --path is a path, with * and ? for parts of a name and ** for any
folders. It also chooses what is below. One without a slash matches in any
folder. It is relative to the folder of the sync, or a local one in it.

Exit codes: 0 also when there are dead jobs; 64 a name that is neither
configured nor in the queue, or a word that is no kind of job.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if !c.Flags().Changed("limit") && !p.json {
				flags.filter.Limit = shownJobs
			}
			return p.queueList(c.Context(), flags.chosen())
		},
	}
	flags.add(c)
	c.Flags().IntVar(&flags.filter.Limit, "limit", 0, fmt.Sprintf("list at most so many `jobs`; 0: all (default %d, all with --json)", shownJobs))
	return p.withJSON(c)
}

func (p *program) queueRetryCommand() *cobra.Command {
	return p.queueChangeCommand("retry", "Try dead and waiting jobs at once", `Makes dead and waiting jobs due, forgets their failures, and ends the pauses and
blocks of their servers, so that these are tried at once.`, "tried again", control.Service.RetryJobs)
}

func (p *program) queueDropCommand() *cobra.Command {
	return p.queueChangeCommand("drop", "Remove jobs, also those that are running", `Removes jobs. What they were to do is found again by the next scan that sees a
reason for it, such as a full pass (ftpferry once).

Transfers that are running are broken off (ABOR), and so are looks at both
sides; the connection goes on, and nothing that was transferred stays on either
side. It waits until they have ended. What deletes or renames ends by itself,
and what was done before it could be dropped counts as done, and is told. If
something has asked for a running job once more meanwhile, such as a change of
its file, another one takes its place. An agent that is killed in between
forgets what was asked for.`, "dropped", control.Service.DropJobs)
}

func (p *program) queueChangeCommand(name, short, long, done string, change func(control.Service, context.Context, control.JobFilter) (control.Changed, error)) *cobra.Command {
	flags := &jobFlags{}
	c := &cobra.Command{
		Use:   name + " {ID... | --all | --sync SYNC | --path PATTERN | ...}",
		Short: short,
		Long: long + `

Jobs are chosen by their numbers, by the options, all of which must fit, or by
--all.

Exit codes: 0 done; 1 some of the chosen jobs were left as they are, or were done
before, and it says so; 64 no job has such a number, or a name that is neither configured nor in
the queue.`,
		RunE: func(c *cobra.Command, arguments []string) error {
			if err := flags.choose(arguments); err != nil {
				return exit{control.ExitUsage, err}
			}
			return p.queueChange(c.Context(), flags.chosen(), done, change)
		},
	}
	flags.add(c)
	c.Flags().BoolVar(&flags.all, "all", false, "all jobs")
	return p.withJSON(c)
}

// choose makes sure that it was said which jobs are meant, in one way.
func (f *jobFlags) choose(arguments []string) error {
	switch {
	case len(arguments) == 0 && !f.all && f.choosesNothing():
		return errors.New("which jobs? Give their numbers (see ftpferry queue), --sync, --server, --state, --kind or --path, or --all")
	case len(arguments) > 0 && (f.all || !f.choosesNothing()):
		return errors.New("choose jobs by number or by options, not by both")
	case f.all && !f.choosesNothing():
		return errors.New("--all means all jobs: leave it out to choose some of them by the other options")
	}
	f.filter.IDs = nil
	for _, argument := range arguments {
		id, err := strconv.ParseUint(argument, 10, 64)
		if err != nil || id == 0 {
			return fmt.Errorf("%q is not the number of a job: see ftpferry queue", argument)
		}
		f.filter.IDs = append(f.filter.IDs, id)
	}
	return nil
}

func (p *program) queueChange(ctx context.Context, filter control.JobFilter, done string, change func(control.Service, context.Context, control.JobFilter) (control.Changed, error)) error {
	cfg, err := p.loadToTalk(ctx)
	if err == nil {
		filter.Sync, filter.Path, err = localPattern(cfg, filter.Sync, filter.Path)
	}
	if err != nil {
		return err
	}
	var changed control.Changed
	err = p.withState(ctx, cfg, false, p.logger(cfg, slog.LevelError), func(ctx context.Context, s control.Service, _ *state.DB) error {
		changed, err = change(s, ctx, filter)
		return err
	})
	if err != nil {
		return serviceError(err)
	}
	if changed.Jobs+changed.Due+changed.Running+changed.Done+changed.Refused == 0 {
		if err := checkNames(cfg, filter.Sync, filter.Server); err != nil {
			return err
		}
	}
	if p.json {
		err = p.printJSON(changed)
	} else {
		p.printChanged(changed, done)
	}
	switch {
	case err != nil:
		return err
	case len(changed.Unknown) > 0:
		return exit{control.ExitUsage, noSuchJob(changed.Unknown)}
	case changed.Running+changed.Done+changed.Refused > 0:
		return exit{code: control.ExitNeedsPerson}
	}
	return nil
}

func (p *program) printChanged(changed control.Changed, done string) {
	due := ""
	if changed.Due > 0 {
		due = fmt.Sprintf(", %d due already", changed.Due)
	}
	fmt.Fprintf(p.stdout, "%s %s%s\n", count(changed.Jobs, "job"), done, due)
	if changed.BrokenOff > 0 {
		fmt.Fprintf(p.stdout, "  %s broken off; a full pass finds again what is to be done\n", count(changed.BrokenOff, "running job"))
	}
	if changed.Again > 0 {
		fmt.Fprintf(p.stdout, "  %s begun anew: something has asked for it meanwhile\n", count(changed.Again, "job"))
	}
	for _, server := range changed.Servers {
		fmt.Fprintf(p.stdout, "  the pause or block of server %s has ended\n", oneLine(server))
	}
	for _, left := range changed.Left {
		fmt.Fprintf(p.stdout, "  job %d was left: it %s\n", left.ID, strings.TrimPrefix(oneLine(left.Reason), "not possible now: it "))
	}
	if more := changed.Running + changed.Done + changed.Refused - len(changed.Left); more > 0 {
		fmt.Fprintf(p.stdout, "  %d more were left\n", more)
	}
}

func noSuchJob(ids []uint64) error {
	if len(ids) > 1 {
		return fmt.Errorf("no jobs have the numbers %s", numbers(ids))
	}
	return fmt.Errorf("no job has the number %d", ids[0])
}

// localPattern makes a pattern that is an absolute local path relative to the folder of the one sync that it is in, and names that.
// One that is in no folder of a sync stays as it is: it may begin at the root of a sync.
func localPattern(cfg *config.Config, sync string, pattern state.Text) (string, state.Text, error) {
	if !filepath.IsAbs(string(pattern)) {
		return sync, pattern, nil
	}
	inside := map[string]string{}
	for name, s := range cfg.Syncs {
		rel, err := filepath.Rel(s.Local, string(pattern))
		if err == nil && filepath.IsLocal(rel) && (sync == "" || name == sync || s.Family == sync) {
			inside[name] = filepath.ToSlash(rel)
		}
	}
	names := sortedKeys(inside)
	switch {
	case len(names) == 0:
		return sync, pattern, nil
	case len(names) > 1:
		return "", "", exit{control.ExitUsage, fmt.Errorf("%s is in the folders of %q: say with --sync which one is meant", pattern, names)}
	case inside[names[0]] == ".":
		return names[0], "", nil
	}
	return names[0], state.Text("/" + inside[names[0]]), nil
}

// numbers lists some numbers.
func numbers(ids []uint64) string {
	const most = 10
	var texts []string
	for _, id := range ids[:min(len(ids), most)] {
		texts = append(texts, strconv.FormatUint(id, 10))
	}
	if len(ids) > most {
		texts = append(texts, fmt.Sprintf("and %d more", len(ids)-most))
	}
	return strings.Join(texts, ", ")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// checkNames refuses names that mean nothing. What is in the state but not in the configuration (any more) can still be asked for,
// so it is called when nothing was found.
func checkNames(cfg *config.Config, sync, server string) error {
	named := func(s *config.Sync) bool { return s.Name == sync || s.Family == sync }
	if sync != "" && !slices.ContainsFunc(slices.Collect(maps.Values(cfg.Syncs)), named) {
		return exit{control.ExitUsage, fmt.Errorf("there is no sync %q; there are %q", sync, sortedKeys(cfg.Syncs))}
	}
	if _, ok := cfg.Servers[server]; server != "" && !ok {
		return exit{control.ExitUsage, fmt.Errorf("there is no server %q; there are %q", server, sortedKeys(cfg.Servers))}
	}
	return nil
}
