package agent

import (
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/work"
)

func template(t *testing.T, text string) config.NameTemplate {
	t.Helper()
	parsed, err := config.ParseNameTemplate(text, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// TestEveryOptionReachesTheWorkers has a row for every field of a sync's configuration: what it is set to, and what workers, plans
// and scans then get.
func TestEveryOptionReachesTheWorkers(t *testing.T) {
	type (
		sync = config.Sync
		got  = work.Sync
	)
	now := time.Date(2026, 11, 23, 4, 5, 6, 0, time.UTC)
	excludes := func(path string) func(got) any {
		return func(s got) any { return s.Filter.ExcludedAnywhere(path, false) }
	}
	rows := map[string]struct {
		set  func(*sync)
		got  func(got) any
		want any
	}{
		"Name":            {func(s *sync) { s.Name = "n" }, func(s got) any { return s.Name }, "n"},
		"Local":           {func(s *sync) { s.Local = "/l" }, func(s got) any { return s.Local }, "/l"},
		"Remote":          {func(s *sync) { s.Remote = "/r" }, func(s got) any { return s.Remote }, "/r"},
		"Direction":       {func(s *sync) { s.Direction = config.Both }, func(s got) any { return s.Rules.Direction }, plan.Both},
		"Include":         {func(s *sync) { s.Include = []string{"*.a"} }, excludes("x.b"), true},
		"Exclude":         {func(s *sync) { s.Exclude = []string{"*.a", "!b.a"} }, excludes("x/c.a"), true},
		"Hidden":          {func(s *sync) { s.Exclude, s.Hidden = []string{"!**"}, []string{"a[1]*"} }, excludes("a[1]*/x"), true},
		"DefaultExcludes": {func(s *sync) { s.DefaultExcludes = true }, excludes(".git/config"), true},
		"Delete":          {func(s *sync) { s.Delete = true }, func(s got) any { return s.Rules.Delete }, true},
		"Settle":          {func(s *sync) { s.Settle = 7 }, func(s got) any { return s.Settle }, time.Duration(7)},
		"Ready": {func(s *sync) { s.Ready = "{name}.ok" }, func(s got) any {
			return s.Ready.Of("x/a.b") == "x/a.b.ok" && s.Filter.In(scan.Local{}, now).Excluded("x/a.b.ok", false) && !s.Filter.ExcludedAnywhere("x/a.b.ok", false)
		}, true},
		"Marker":          {func(s *sync) { s.Marker = "m" }, func(s got) any { return s.Marker }, "m"},
		"OnForeignChange": {func(s *sync) { s.OnForeignChange = config.ForeignKeep }, func(s got) any { return s.Rules.Foreign }, plan.ForeignKeep},
		"Conflict":        {func(s *sync) { s.Conflict = config.ConflictAsk }, func(s got) any { return s.Rules.Conflict }, plan.ResolveAsk},
		"Links":           {func(s *sync) { s.Links = config.LinksPreserve }, func(s got) any { return s.Rules.Links }, plan.LinksPreserve},
		"Verify":          {func(s *sync) { s.Verify = config.VerifyReread }, func(s got) any { return s.Verify }, work.VerifyReread},
		"Trash":           {func(s *sync) { s.Trash = "t" }, func(s got) any { return s.Trash }, "t"},
		"TrashKeep":       {func(s *sync) { s.TrashKeep = 8 }, func(s got) any { return s.TrashKeep }, time.Duration(8)},
		"Atomic":          {func(s *sync) { s.Atomic = true }, func(s got) any { return s.Direct }, false},
		"TempPrefix":      {func(s *sync) { s.TempPrefix = "p" }, func(s got) any { return s.TempPrefix }, "p"},
		"TempSuffix":      {func(s *sync) { s.TempSuffix = "s" }, func(s got) any { return s.TempSuffix }, "s"},
		"TempFolder":      {func(s *sync) { s.TempFolder = "f" }, func(s got) any { return s.TempFolder }, "f"},
		"Mode":            {func(s *sync) { s.Mode = 0o640 }, func(s got) any { return s.Upload.Mode }, os.FileMode(0o640)},
		"Claim":           {func(s *sync) { s.Claim = true }, func(s got) any { return s.Claim }, true},
		"RemoteName": {func(s *sync) { s.RemoteName = template(t, "{stem}_{mtime:2006}{ext}") }, func(s got) any {
			return s.RemoteName != nil && s.RemoteName("a/b.c", now) == "a/b_2026.c" && s.RemoteName("b", now) == "b_2026"
		}, true},
		"AfterUpload": {func(s *sync) { s.AfterUpload.Move = template(t, "done/{date}/") }, func(s got) any {
			return s.Upload.After.Move != nil && s.Upload.After.Move("a/b", now) == "done/2026-11-23/a/b" && s.Rules.Consume && s.Download.After.Move == nil
		}, true},
		"AfterDownload": {func(s *sync) { s.AfterDownload.Delete = true }, func(s got) any { return s.Download.After.Delete && s.Rules.Consume }, true},
		"Append": {func(s *sync) { s.Append = []string{"*.log", "!/x/"} }, func(s got) any {
			return s.Appends != nil && s.Appends("a/b.log") && !s.Appends("x/b.log") && !s.Appends("b.txt")
		}, true},
		"Hooks": {func(s *sync) {
			s.Hooks = config.Hooks{Before: []string{"b"}, After: []string{"a"}, OnError: []string{"e"}, Shell: true, Timeout: 9}
		}, func(s got) any { return s.Hooks }, work.Hooks{Before: []string{"b"}, After: []string{"a"}, OnError: []string{"e"}, Shell: true, Timeout: 9}},
	}
	elsewhere := map[string]string{
		"Family": "names.go", "Server": "the queue", "Watch": "triggers", "WatchPoll": "watch", "Schedules": "triggers", "Rescan": "looks", "Poll": "looks", "Recheck": "trust.go", "RecheckAbove": "trust.go", "MaxDelete": "veto.go", "Enabled": "New",
		"Transfers": "the dispatcher", "Allowed": "the dispatcher", "Moves": "the walker",
		"Expects": "absence.go",
	}
	options := map[string]bool{"IgnoreFile": true, "IgnoreCase": true, "MinSize": true, "MaxSize": true, "MinAge": true, "MaxAge": true}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[sync]()) {
		row, ok := rows[field.Name]
		switch {
		case elsewhere[field.Name] != "" || options[field.Name]:
			continue
		case !ok:
			t.Errorf("%s does not reach the workers, or has no row here", field.Name)
			continue
		}
		var s sync
		if before := row.got(workSync(&s, "")); reflect.DeepEqual(before, row.want) {
			t.Errorf("%s: %v whatever the configuration says", field.Name, before)
		}
		row.set(&s)
		if got := row.got(workSync(&s, "")); !reflect.DeepEqual(got, row.want) {
			t.Errorf("%s: the workers get %v, want %v", field.Name, got, row.want)
		}
	}
	o := filterOptions(&sync{IgnoreFile: "i", IgnoreCase: true, MinSize: 1, MaxSize: 2, MinAge: 3, MaxAge: 4})
	if o.IgnoreFile != "i" || !o.IgnoreCase || o.MinSize != 1 || o.MaxSize != 2 || o.MinAge != 3 || o.MaxAge != 4 {
		t.Errorf("filters get %+v", o)
	}
	if rules := workSync(&sync{}, "host").Rules; rules.Host != "host" || rules.Zone != time.Local || rules.Consume {
		t.Errorf("rules %+v", rules)
	}
}

// TestFamilies: a sync with several servers is one for each, and its name stands for all that are on.
func TestFamilies(t *testing.T) {
	const text = `
[server.a]
address = "a"
[server.b]
address = "b"
[sync.web]
server = ["a", "b"]
local = "."
remote = "/r"
direction = "up"
watch = true
[sync.other]
server = "a"
local = "."
remote = "/other"
direction = "up"
watch = true
`
	path := filepath.Join(t.TempDir(), "agent.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path, func(string) string { return "/nowhere" })
	if err != nil {
		t.Fatal(err)
	}
	cfg.Syncs["web@b"].Enabled = false
	a := New(cfg, nil, Options{Logger: slog.New(slog.DiscardHandler)})
	for _, c := range []struct {
		sentence      string
		wanted, names []string
		problem       string
	}{
		{"nothing means all that are on", nil, []string{"other", "web@a"}, ""},
		{"the name of the family means those that are on", []string{"web"}, []string{"web@a"}, ""},
		{"each only once", []string{"web", "web@a", "other"}, []string{"other", "web@a"}, ""},
		{"one that is off", []string{"web@b"}, nil, `unknown sync: "web@b" is switched off (enabled = false)`},
		{"one that is not there", []string{"web@c"}, nil, `unknown sync: there is no sync "web@c"; there are ["other" "web@a" "web@b"]`},
	} {
		names, err := a.names(c.wanted)
		if diff := cmp.Diff(c.names, names); diff != "" || (err == nil) != (c.problem == "") || err != nil && err.Error() != c.problem {
			t.Errorf("%s: %v %s", c.sentence, err, diff)
		}
	}
	if diff := cmp.Diff([]string{"web", "web@a", "web@b"}, a.family("web")); diff != "" {
		t.Errorf("the family, and what there was before it: %s", diff)
	}
	if a.family("") != nil {
		t.Error("no name is a family")
	}
}
