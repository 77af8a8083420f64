package config

import (
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// flow is an enabled sync as the cross checks see it: files go from one folder to another, or, as two flows, both ways.
type flow struct {
	sync     *Sync
	from, to place
	side     string // of to: local or remote
}

// place is a folder somewhere.
type place struct {
	where []string // empty for this machine, else what identifies the server, by each of its addresses
	path  string   // cleaned
}

// overlaps reports whether one of the folders is the other or inside it. Whether a relative remote path (from the login
// folder) and an absolute one overlap cannot be known here.
func (p place) overlaps(other place) bool {
	separator := "/"
	if len(p.where) == 0 {
		separator = string(filepath.Separator)
	}
	known := func(where string) bool { return slices.Contains(other.where, where) }
	return (slices.ContainsFunc(p.where, known) || len(p.where)+len(other.where) == 0) &&
		(within(p.path, other.path, separator) || within(other.path, p.path, separator))
}

func within(inner, outer, separator string) bool {
	if outer == "." { // the login folder
		return !strings.HasPrefix(inner, "/") && inner != ".." && !strings.HasPrefix(inner, "../")
	}
	rest, ok := strings.CutPrefix(inner, strings.TrimSuffix(outer, separator))
	return ok && (rest == "" || strings.HasPrefix(rest, separator))
}

// crossCheck looks at what the syncs do to each other. Syncs that are not enabled do nothing.
func (l *loader) crossCheck(cfg *Config) {
	if len(cfg.Syncs) == 0 && len(l.problems) == 0 {
		l.warnings = append(l.warnings, Problem{File: l.sources[0].name, Text: "there is no [sync.NAME]: nothing to do"})
	}
	var flows []flow
	state := realPath(cfg.Agent.StateDir)
	for _, name := range slices.Sorted(maps.Keys(cfg.Syncs)) {
		sync, server := cfg.Syncs[name], cfg.Servers[cfg.Syncs[name].Server]
		if !sync.Enabled || sync.Local == "" || sync.Remote == "" || sync.Direction == "" || server == nil || server.Address == "" {
			continue
		}
		local := place{path: realPath(sync.Local)}
		remote := place{path: sync.Remote}
		for _, address := range server.Addresses {
			remote.where = append(remote.where, strings.ToLower(address+" "+server.VirtualHost)+" "+server.User)
		}
		if cfg.Agent.StateDir != "" && within(state, local.path, string(filepath.Separator)) {
			l.fail(key{"sync", sync.Family, "local"}, "contains state_dir (%s), which changes all the time: move one of them", cfg.Agent.StateDir)
		}
		if sync.Direction != Down {
			flows = append(flows, flow{sync, local, remote, "remote"})
		}
		if sync.Direction != Up {
			flows = append(flows, flow{sync, remote, local, "local"})
		}
	}
	if !l.checkTargets(flows) { // else each pair would be told as a circle as well
		l.checkCycles(flows)
	}
}

// checkTargets refuses two sources for one target: each would undo what the other did.
func (l *loader) checkTargets(flows []flow) (refused bool) {
	for i, a := range flows {
		for _, b := range flows[:i] {
			if a.sync == b.sync || !a.to.overlaps(b.to) {
				continue
			}
			refused = true
			first, second := l.inOrder(b.sync, a.sync)
			l.fail(key{"sync", second.Family, a.side}, "sync.%s writes to the same folder or one inside the other: a target has one source only",
				first.Name)
		}
	}
	return refused
}

// checkCycles refuses files that come back to where they started, and warns of those handed on by a second sync.
func (l *loader) checkCycles(flows []flow) {
	next := func(from flow) []int {
		var found []int
		for i, to := range flows {
			if from.sync != to.sync && from.to.overlaps(to.from) {
				found = append(found, i)
			}
		}
		return found
	}
	reported := map[int]bool{}
	for start, flow := range flows {
		cycle := shortestCycle(start, func(i int) []int { return next(flows[i]) })
		if cycle == nil {
			for _, i := range next(flow) {
				l.warn(key{"sync", flows[i].sync.Family}, "hands on what sync.%s brings", flow.sync.Name)
			}
			continue
		}
		if slices.ContainsFunc(cycle, func(i int) bool { return reported[i] }) {
			continue
		}
		last, names := flow.sync, []string{}
		for _, i := range cycle {
			reported[i] = true
			names = append(names, "sync."+flows[i].sync.Name)
			_, last = l.inOrder(last, flows[i].sync)
		}
		l.fail(key{"sync", last.Family}, "files would go round in a circle: %s, and again %s: "+
			"give them folders apart, or disable one", strings.Join(names, ", then "), names[0])
	}
}

// shortestCycle returns the nodes of the shortest way from start back to it, or nil.
func shortestCycle(start int, next func(int) []int) []int {
	cameFrom := map[int]int{}
	for queue := []int{start}; len(queue) > 0; queue = queue[1:] {
		for _, node := range next(queue[0]) {
			if node == start {
				way := []int{queue[0]}
				for way[0] != start {
					way = slices.Insert(way, 0, cameFrom[way[0]])
				}
				return way
			}
			if _, seen := cameFrom[node]; !seen {
				cameFrom[node] = queue[0]
				queue = append(queue, node)
			}
		}
	}
	return nil
}

// inOrder returns the two syncs in the order of the files: an error stands at the later one.
func (l *loader) inOrder(a, b *Sync) (first, second *Sync) {
	if l.locations.of(key{"sync", a.Family}).compare(l.locations.of(key{"sync", b.Family})) > 0 {
		return b, a
	}
	return a, b
}

// realPath follows the symbolic links of the part of the path that exists, and folds case where the system does.
func realPath(path string) string {
	rest := ""
	for folder := path; ; folder = filepath.Dir(folder) {
		if real, err := filepath.EvalSymlinks(folder); err == nil {
			path = filepath.Join(real, rest)
			break
		}
		if folder == filepath.Dir(folder) {
			break
		}
		rest = filepath.Join(filepath.Base(folder), rest)
	}
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		return strings.ToLower(path)
	}
	return path
}
