package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// run is one measured run of a client, its work found to be right.
type run struct {
	Wall      time.Duration `json:"wall_ns"`
	CPU       time.Duration `json:"cpu_ns"`
	Peak      int64         `json:"peak_bytes"` // 0 where unknown
	TimesKept int           `json:"times_kept"` // files with the time of their source
	counts
}

// row is what came of one client in one cell.
type row struct {
	Client string `json:"client"`
	Runs   []run  `json:"runs,omitempty"`
	Failed string `json:"failed,omitempty"` // the reason; there are no further runs
	Bare   bool   `json:"bare,omitempty"`   // a copy without FTP
	Single bool   `json:"single,omitempty"` // one connection, whatever the cell says
}

// cell is one workload on one server, at one distance, with one number of connections.
type cell struct {
	Work        string `json:"work"`
	Server      string `json:"server"`
	Secured     bool   `json:"tls"`
	RTT         int    `json:"rtt_ms"`
	Connections int    `json:"connections"`
	Files       int    `json:"files"`
	Bytes       int64  `json:"bytes"`
	Unchanged   bool   `json:"unchanged,omitempty"`
	Rows        []row  `json:"rows"`
}

// report is everything that was found out.
type report struct {
	When     time.Time `json:"when"`
	Command  string    `json:"command"`
	Machine  []string  `json:"machine"`
	Versions []string  `json:"versions"` // of clients, with what matters of their command lines, and of servers
	Load     [2]string `json:"load"`     // before and after
	Runs     int       `json:"runs"`
	WarmUp   int       `json:"warm_up"`
	Cells    []cell    `json:"cells"`
	LeftOut  []string  `json:"left_out,omitempty"` // servers and peers, with the reason
}

// median is 0 of nothing.
func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	half := len(values) / 2
	switch {
	case len(values) == 0:
		return 0
	case len(values)%2 == 1:
		return values[half]
	}
	return (values[half-1] + values[half]) / 2
}

// medianOf is that of one figure of the runs.
func (r row) medianOf(figure func(run) float64) float64 {
	values := make([]float64, 0, len(r.Runs))
	for _, run := range r.Runs {
		values = append(values, figure(run))
	}
	return median(values)
}

func (r row) wall() float64 { return r.medianOf(func(x run) float64 { return x.Wall.Seconds() }) }

// counted reports whether the row takes part in comparisons.
func (r row) counted() bool { return r.Failed == "" && len(r.Runs) > 0 }

// find returns the row of a client, nil where it has none that counts.
func (c cell) find(client string) *row {
	for i := range c.Rows {
		if c.Rows[i].Client == client && c.Rows[i].counted() {
			return &c.Rows[i]
		}
	}
	return nil
}

// bestPeer is the fastest one that is neither ours nor a bare copy, nil if there is none.
func (c cell) bestPeer() (best *row) {
	for i := range c.Rows {
		r := &c.Rows[i]
		if r.counted() && !r.Bare && r.Client != ours && (best == nil || r.wall() < best.wall()) {
			best = r
		}
	}
	return best
}

// bare is the bare copy, nil if there is none.
func (c cell) bare() *row {
	for i := range c.Rows {
		if c.Rows[i].Bare && c.Rows[i].counted() {
			return &c.Rows[i]
		}
	}
	return nil
}

// figure writes a number with about three digits that count.
func figure(value float64) string {
	switch {
	case value >= 100:
		return strconv.FormatFloat(value, 'f', 0, 64)
	case value >= 10:
		return strconv.FormatFloat(value, 'f', 1, 64)
	case value != 0 && value < 0.1:
		return strconv.FormatFloat(value, 'f', 3, 64)
	}
	return strconv.FormatFloat(value, 'f', 2, 64)
}

// nothing stands where there is no figure; bareName is what the copy without FTP is called.
const (
	nothing  = "–"
	bareName = "bare copy"
)

// ratio writes how a row compares with another one.
func ratio(of, to *row) string {
	if of == nil || to == nil || to.wall() == 0 {
		return nothing
	}
	return figure(of.wall() / to.wall())
}

func (c cell) title() string {
	security := "plain"
	if c.Secured {
		security = "TLS"
	}
	return fmt.Sprintf("%s, %s, %s, %d ms, N=%d", c.Work, c.Server, security, c.RTT, c.Connections)
}

// writeMarkdown writes the report.
func (r report) writeMarkdown(w io.Writer) error {
	var b strings.Builder
	add := func(format string, arguments ...any) { fmt.Fprintf(&b, format+"\n", arguments...) }
	add("Made on %s by `%s`: medians of %d runs after %d to warm up, clients taking turns.\n", r.When.UTC().Format("2006-01-02 15:04 UTC"), r.Command, r.Runs, r.WarmUp)
	for _, line := range r.Machine {
		add("- %s", line)
	}
	add("- load average before and after: %s; %s", r.Load[0], r.Load[1])
	for _, line := range r.Versions {
		add("- %s", line)
	}
	for _, line := range r.LeftOut {
		add("- left out: %s", line)
	}
	add("\n### Ours against the best peer\n")
	add("| work | server | TLS | RTT ms | N | ours s | best peer | its s | ratio | ours ÷ bare copy | turns/file: ours, peer |")
	add("|---|---|---|--:|--:|--:|---|--:|--:|--:|--:|")
	for _, c := range r.Cells {
		b.WriteString(c.summary())
	}
	for _, c := range r.Cells {
		add("\n### %s\n", c.title())
		add("%d files, %s.\n", c.Files, bytesText(c.Bytes))
		add("| client | wall s | min–max | ÷ best peer | ÷ bare copy | CPU s | peak MiB | turns/file | data/file | logins | times kept |")
		add("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
		for i := range c.Rows {
			b.WriteString(c.line(&c.Rows[i]))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// summary is one line of the first table.
func (c cell) summary() string {
	mine, peer := c.find(ours), c.bestPeer()
	wall, name, peerWall, turns, peerTurns := "failed", nothing, nothing, nothing, nothing
	if mine != nil {
		wall, turns = figure(mine.wall()), c.perFile(mine, func(x run) int { return x.Turns })
	}
	if peer != nil {
		name, peerWall, peerTurns = peer.Client, figure(peer.wall()), c.perFile(peer, func(x run) int { return x.Turns })
	}
	secured := "no"
	if c.Secured {
		secured = "yes"
	}
	return fmt.Sprintf("| %s | %s | %s | %d | %d | %s | %s | %s | %s | %s | %s, %s |\n", c.Work, c.Server, secured, c.RTT, c.Connections,
		wall, name, peerWall, ratio(mine, peer), ratio(mine, c.bare()), turns, peerTurns)
}

// perFile writes a count of a run, divided by the files.
func (c cell) perFile(r *row, count func(run) int) string {
	return figure(r.medianOf(func(x run) float64 { return float64(count(x)) }) / float64(max(c.Files, 1)))
}

// line is one client's line in the table of the cell.
func (c cell) line(r *row) string {
	name := r.Client
	if r.Single {
		name += " (N=1)"
	}
	if r.Failed != "" {
		return fmt.Sprintf("| %s | FAILED: %s |\n", name, strings.NewReplacer("|", `\|`, "\n", " ").Replace(r.Failed))
	}
	if len(r.Runs) == 0 {
		return fmt.Sprintf("| %s | not measured |\n", name)
	}
	walls := make([]float64, 0, len(r.Runs))
	for _, run := range r.Runs {
		walls = append(walls, run.Wall.Seconds())
	}
	spread := figure(slices.Min(walls)) + "–" + figure(slices.Max(walls))
	if r.Bare {
		return fmt.Sprintf("| %s | %s | %s | %s | 1.00 | – | – | – | – | – | – |\n", name, figure(r.wall()), spread, ratio(r, c.bestPeer()))
	}
	memory := nothing
	if peak := r.medianOf(func(x run) float64 { return float64(x.Peak) }); peak > 0 {
		memory = figure(peak / (1 << 20))
	}
	kept := nothing
	if !c.Unchanged {
		kept = fmt.Sprintf("%.0f %%", 100*r.medianOf(func(x run) float64 { return float64(x.TimesKept) })/float64(max(c.Files, 1)))
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", name, figure(r.wall()), spread, ratio(r, c.bestPeer()), ratio(r, c.bare()),
		figure(r.medianOf(func(x run) float64 { return x.CPU.Seconds() })), memory, c.perFile(r, func(x run) int { return x.Turns }),
		c.perFile(r, func(x run) int { return x.Data }), figure(r.medianOf(func(x run) float64 { return float64(x.Logins) })), kept)
}

func bytesText(n int64) string {
	switch {
	case n >= 1<<30:
		return figure(float64(n)/(1<<30)) + " GiB"
	case n >= 1<<20:
		return figure(float64(n)/(1<<20)) + " MiB"
	}
	return figure(float64(n)/(1<<10)) + " KiB"
}

// versionIn finds the version of a program in what it says.
func versionIn(name, text string) string {
	version := regexp.MustCompile(`(?i)` + regexp.QuoteMeta(name) + `[ /-]v?([0-9]+\.[0-9][0-9a-z.]*)`)
	if found := version.FindStringSubmatch(text); found != nil {
		return strings.TrimRight(found[1], ".")
	}
	return "it does not tell its version"
}
