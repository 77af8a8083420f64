package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/state"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func (p *program) queueList(ctx context.Context, filter control.JobFilter) error {
	if filter.Limit < 0 {
		return exit{control.ExitUsage, fmt.Errorf("--limit %d is negative; 0 means all", filter.Limit)}
	}
	cfg, err := p.loadToTalk(ctx)
	if err == nil {
		filter.Sync, filter.Path, err = localPattern(cfg, filter.Sync, filter.Path)
	}
	if err != nil {
		return err
	}
	return p.printing(func(out *bufio.Writer) error {
		list := jobList{out: out, now: time.Now(), json: p.json}
		var syncs []control.SyncJobs
		err := p.withState(ctx, cfg, true, p.logger(cfg, slog.LevelError), func(ctx context.Context, s control.Service, db *state.DB) (err error) {
			list.alone = db != nil
			syncs, err = s.Jobs(ctx, filter, list.add)
			return notAgain(err, list.jobs > 0)
		})
		if err != nil {
			return serviceError(err)
		}
		if list.jobs == 0 {
			if err := checkNames(cfg, filter.Sync, filter.Server); err != nil {
				return err
			}
		}
		return list.end(syncs, filter)
	})
}

// jobList prints jobs, one after the other.
type jobList struct {
	out  *bufio.Writer
	now  time.Time
	json bool
	jobs int
	// alone: no agent runs, so what is marked as running was cut off with one.
	alone    bool
	stateDir string // "" if it is not to be told
	paint    paint
}

func (l *jobList) add(job control.Job) error {
	l.jobs++
	if l.json {
		before := ",\n    "
		if l.jobs == 1 {
			before = "{\n  \"jobs\": [\n    "
		}
		l.out.WriteString(before)
		return writeJSON(l.out, job)
	}
	if l.jobs == 1 {
		fmt.Fprintf(l.out, "%8s %-8s%9s %5s  %-14s %s\n", "JOB", "STATE", "WHEN", "TRIES", "KIND", "SYNC: PATH")
	}
	line := fmt.Sprintf("%8d %-8s%9s %5d  %-14s ", job.ID, job.State, l.when(job), job.Attempts, oneLine(strings.ReplaceAll(job.Kind, "_", " ")))
	path := oneLine(job.Sync) + ": " + pathText(string(job.Path))
	if columnsOf(line)+columnsOf(path) > screen {
		// A name is not cut: somebody may want to copy it.
		line, path = strings.TrimRight(line, " ")+"\n", "         "+path
	}
	l.out.WriteString(line + path + "\n")
	if job.LastError != "" {
		// A person has to read all of why a job is dead; the others take care of themselves.
		reason, most := job.LastError, 1
		if job.State == "dead" {
			most = 6
		} else {
			reason, _, _ = strings.Cut(reason, "\n")
		}
		l.out.WriteString(wrap(oneLine(reason), "         ", most))
	}
	_, err := l.out.WriteString("") // of the lines before
	return err
}

// when is the time that matters in the state: since when it is dead or running, or how long it still waits.
func (l *jobList) when(job control.Job) string {
	switch {
	case job.State == "dead" && !job.Died.IsZero():
		return ago(l.now.Sub(job.Died)) + " ago"
	case job.State == "running" && l.alone:
		return "cut off"
	case job.State == "running" && !job.Started.IsZero():
		return "for " + ago(l.now.Sub(job.Started))
	case job.State == "waiting":
		return "in " + ago(job.RunAt.Sub(l.now))
	case job.State == "due":
		return "now"
	}
	return "-"
}

// ago writes a time in one unit, which is enough to see what is going on.
func ago(d time.Duration) string {
	d = max(d, 0)
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if d >= 2*unit.size || d >= unit.size && unit.name == "d" {
			return fmt.Sprintf("%d%s", d/unit.size, unit.name)
		}
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// end prints the numbers per sync.
func (l *jobList) end(syncs []control.SyncJobs, filter control.JobFilter) error {
	if l.json {
		if l.jobs == 0 {
			l.out.WriteString("{\n  \"jobs\": [")
		} else {
			l.out.WriteString("\n  ")
		}
		l.out.WriteString("],\n  \"syncs\": ")
		if err := writeJSON(l.out, syncs); err != nil {
			return err
		}
		_, err := l.out.WriteString("\n}\n")
		return err
	}
	if filter.Limit > 0 && l.jobs == filter.Limit {
		fmt.Fprintf(l.out, "... %d jobs listed; --limit 0 lists all\n", l.jobs)
	}
	if l.jobs > 0 {
		l.out.WriteString("\n")
	}
	for _, s := range syncs {
		parts := l.counts(s)
		name := s.Sync
		if name == "" {
			name = "(not configured)"
		}
		if len(parts) == 0 {
			parts = append(parts, "no jobs")
		}
		fmt.Fprintf(l.out, "%s: %s\n", oneLine(name), strings.Join(parts, ", "))
		if s.Stop != nil {
			l.out.WriteString(wrap(l.stopText(s.Sync, *s.Stop), "  ", 0))
		}
	}
	if len(syncs) == 0 {
		l.out.WriteString("the queue is empty\n")
	}
	return nil
}

// counts says how many jobs a sync has.
func (l *jobList) counts(s control.SyncJobs) (parts []string) {
	running := "running"
	if l.alone {
		running = "cut off in the middle"
	}
	for _, n := range []struct {
		count int
		name  string
	}{{s.Dead, "dead"}, {s.Running, running}, {s.Due, "due"}, {s.Waiting, "waiting"}} {
		if n.count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n.count, n.name))
		}
	}
	if s.Retrying > 0 {
		parts = append(parts, fmt.Sprintf("%d of them after a failure", s.Retrying))
	}
	if !s.NextDue.IsZero() {
		parts = append(parts, "the next in "+ago(s.NextDue.Sub(l.now)))
	}
	return parts
}

// stopText says why the jobs of a sync do not go on, and who has to do what about it.
func (l *jobList) stopText(sync string, stop control.Stop) string {
	reason, _, _ := strings.Cut(stop.Reason, "\n")
	reason = strings.TrimRight(oneLine(reason), " .")
	next := "next try in " + ago(stop.Until.Sub(l.now))
	switch stop.By {
	case control.StopOff:
		return "switched off: " + reason
	case control.StopHalt:
		return fmt.Sprintf("HALTED: %s; look at it with: ftpferry plan %s; let it go on with: ftpferry approve %s", reason, sync, sync)
	case control.StopBlock:
		return fmt.Sprintf("BLOCKED: %s; correct the configuration, or try again with: ftpferry queue retry --sync %s", reason, sync)
	case control.StopPerson:
		if stop.Server != "" {
			sync = "--server " + oneLine(stop.Server)
		}
		return fmt.Sprintf("%s; let it go on with: ftpferry resume %s", reason, sync)
	case control.StopWindow:
		return reason
	case control.StopWait:
		return fmt.Sprintf("waiting: %s; nothing is deleted, and it looks again in %s before it halts", reason, ago(stop.Until.Sub(l.now)))
	case control.StopFull:
		return fmt.Sprintf("no room: %s; %s", reason, next)
	}
	return fmt.Sprintf("server paused: %s; %s", reason, next)
}

// writeJSON writes a value in one line, without its end.
func writeJSON(w io.Writer, v any) error {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, strings.TrimSuffix(text.String(), "\n"))
	return err
}
