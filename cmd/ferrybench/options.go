package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// options are what the command line asks for.
type options struct {
	servers     []string
	works       []work
	lines       []int // round trips in ms; nil for those that each workload is meant for
	connections []int
	secured     []bool
	clients     []client
	runs        int
	warmUp      int
	limit       time.Duration // of one run
	binary      string        // ours; "" to build it
	folder      string        // for files, servers and state
	state       string        // for our state; "" for the same
	render      string        // a report as JSON, to print again
	json, list  bool
}

const usageText = `Usage: ferrybench [flags]

Moves the same files with ftpferry and every other FTP client that is found (lftp, rclone,
ncftp, wput, curl), to and from real servers, and prints a table in Markdown: medians, ratios,
processor time, memory, control turns and data connections per file. Clients take turns, and
after each run both sides are compared byte by byte: who is fast and wrong has FAILED.

Client and server are in network namespaces of their own. A line of 0 ms is a veth pair; others
are TUN pairs on which each packet is held up for half of the round trip, both ways, in all
connections. Needs Linux, root, ip and nft, and the servers that "bash .ci/run deps" fetches.
Nothing is left behind, also after Ctrl-C.

Without flags a run takes some minutes: U1k, D1k, B1u and B1d on proftpd at 0 ms.

Exit codes: 0 ftpferry has done all its work; 1 it has not, or nothing could be measured;
64 wrong use, or a system on which this does not work.

Examples:
  ferrybench -work U1k -rtt 100 -peers lftp
  ferrybench -work B1u,B1d -servers all -tls both
  ferrybench -all -json > all.json
  ferrybench -render all.json

Flags:
`

// parseOptions reads the command line. It has written to stderr what is wrong with it.
func parseOptions(arguments []string, stderr io.Writer) (options, error) {
	o := options{}
	flags := flag.NewFlagSet("ferrybench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usageText)
		flags.PrintDefaults()
		fmt.Fprint(stderr, "\n", listText())
	}
	servers := flags.String("servers", "proftpd", "`list` of servers, or \"all\"")
	workNames := flags.String("work", "U1k,D1k,B1u,B1d", "`list` of workloads, or \"all\"")
	lines := flags.String("rtt", "0", "`list` of round trip times in milliseconds")
	connections := flags.String("n", "4", "`list` of numbers of connections")
	secured := flags.String("tls", "off", "off, on or both")
	peers := flags.String("peers", "all", "`list` of other clients, \"all\" or \"none\"")
	flags.IntVar(&o.runs, "runs", 3, "measured runs of each client")
	flags.IntVar(&o.warmUp, "warm-up", 1, "runs before them that do not count")
	flags.DurationVar(&o.limit, "timeout", 10*time.Minute, "a run that takes longer is ended and has failed")
	flags.StringVar(&o.binary, "binary", "", "`file` of the ftpferry to measure (default: one built from the sources here)")
	flags.StringVar(&o.folder, "dir", memoryFolder(), "`folder` for files and servers; in memory, disks do not count")
	flags.StringVar(&o.state, "state", "", "`folder` for ftpferry's state, such as one on a disk (default: that of -dir)")
	all := flags.Bool("all", false, "all servers, with and without TLS, all workloads on the lines that they are meant for: many hours")
	flags.BoolVar(&o.json, "json", false, "print all runs as JSON and no table")
	flags.StringVar(&o.render, "render", "", "measure nothing; print the tables of a `file` that -json has made")
	flags.BoolVar(&o.list, "list", false, "print workloads and clients, and what of them is here")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if *all {
		for name, value := range map[string]*string{"servers": servers, "work": workNames, "rtt": lines, "tls": secured} {
			if !given[name] {
				*value = map[string]string{"tls": "both"}[name]
				if name != "tls" {
					*value = everything
				}
			}
		}
	}
	err := o.choose(*servers, *workNames, *lines, *connections, *secured, *peers)
	if flags.NArg() > 0 {
		err = fmt.Errorf("%q is not a flag", flags.Arg(0))
	}
	if err != nil {
		fmt.Fprintf(stderr, "ferrybench: %v; see -help\n", err)
	}
	return o, err
}

const everything = "all"

// choose turns lists into what they name.
func (o *options) choose(servers, workNames, lines, connections, secured, peers string) (err error) {
	if o.servers, err = chosen("-servers", servers, ftptest.RealServers); err != nil {
		return err
	}
	names, err := chosen("-work", workNames, namesOf(works, func(w work) string { return w.name }))
	if err != nil {
		return err
	}
	for _, w := range works {
		if slices.Contains(names, w.name) && (workNames != everything || len(w.lines) > 0) {
			o.works = append(o.works, w)
		}
	}
	if lines != everything {
		if o.lines, err = numbers("-rtt", lines, 0); err != nil {
			return err
		}
	}
	if o.connections, err = numbers("-n", connections, 1); err != nil {
		return err
	}
	var known bool
	if o.secured, known = map[string][]bool{"off": {false}, "on": {true}, "both": {false, true}}[secured]; !known {
		return fmt.Errorf("-tls %q: it is off, on or both", secured)
	}
	if peers == "none" {
		peers = ours
	}
	if names, err = chosen("-peers", peers, namesOf(clients, func(c client) string { return c.name })); err != nil {
		return err
	}
	for _, c := range clients {
		if c.name == ours || slices.Contains(names, c.name) {
			o.clients = append(o.clients, c)
		}
	}
	if o.runs < 1 || o.warmUp < 0 || o.limit <= 0 {
		return errors.New("-runs has to be 1 or more, -warm-up 0 or more, -timeout more than 0")
	}
	return nil
}

// has reports whether the workload is done on a line.
func (o options) has(w work, milliseconds int) bool {
	if o.lines == nil {
		return slices.Contains(w.lines, milliseconds)
	}
	return slices.Contains(o.lines, milliseconds)
}

// allLines are those on which there is something to do.
func (o options) allLines() []int {
	if o.lines != nil {
		return o.lines
	}
	var lines []int
	for _, w := range o.works {
		lines = append(lines, w.lines...)
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

func namesOf[T any](values []T, name func(T) string) []string {
	names := make([]string, 0, len(values))
	for _, value := range values {
		names = append(names, name(value))
	}
	return names
}

// chosen splits a list and checks its names.
func chosen(flag, list string, known []string) ([]string, error) {
	if list == everything {
		return known, nil
	}
	names := strings.Split(list, ",")
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("%s: there is no %q; there are %s", flag, name, strings.Join(known, ", "))
		}
	}
	return names, nil
}

func numbers(flag, list string, least int) ([]int, error) {
	var values []int
	for text := range strings.SplitSeq(list, ",") {
		value, err := strconv.Atoi(text)
		if err != nil || value < least {
			return nil, fmt.Errorf("%s: %q is not a number of %d or more", flag, text, least)
		}
		values = append(values, value)
	}
	return values, nil
}

// memoryFolder is where files are kept in memory.
func memoryFolder() string {
	const shared = "/dev/shm"
	if info, err := os.Stat(shared); err == nil && info.IsDir() {
		return shared
	}
	return os.TempDir()
}

// listText names workloads and clients.
func listText() string {
	var b strings.Builder
	b.WriteString("Workloads, with the lines of -all:\n")
	for _, w := range works {
		where := ""
		if len(w.lines) > 0 {
			where = fmt.Sprintf(" %v ms", w.lines)
		}
		fmt.Fprintf(&b, "  %-6s %s%s\n", w.name, w.about, where)
	}
	b.WriteString("\nClients, if they are in $PATH:\n")
	for _, c := range clients {
		fmt.Fprintf(&b, "  %-10s %s\n", c.name, c.how)
	}
	return b.String()
}
