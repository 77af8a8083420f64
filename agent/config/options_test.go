package config

import (
	"cmp"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	compare "github.com/google/go-cmp/cmp"
)

// ofDefaults fills in what a sync is when the file does not say otherwise.
func ofDefaults(s Sync) *Sync {
	s.Family, s.Server = cmp.Or(s.Family, s.Name), cmp.Or(s.Server, "acme")
	if s.Include == nil {
		s.Include = []string{"**"}
	}
	if s.MaxDelete == (MaxDelete{}) {
		s.MaxDelete = MaxDelete{Percent: 10, IsPercent: true}
	}
	s.Settle, s.Rescan, s.WatchPoll = cmp.Or(s.Settle, 5*time.Second), cmp.Or(s.Rescan, time.Hour), cmp.Or(s.WatchPoll, time.Minute)
	if s.Direction == Up && s.Recheck == 0 {
		s.Recheck, s.RecheckAbove = day, 1000
	}
	s.IgnoreFile, s.DefaultExcludes, s.Moves = ".ferryignore", true, true
	s.Links, s.OnForeignChange, s.Conflict, s.Verify = LinksSkip, ForeignRestore, ConflictCopy, VerifySize
	s.TrashKeep, s.Hidden = 30*day, []string{".ferry-trash"}
	s.Atomic, s.TempPrefix = true, "."
	s.Hooks.Timeout = time.Minute
	return &s
}

const optionsFile = `[server.acme]
address = "acme"
[server.other]
address = "other"
[sync.web]
server = "acme"
local = "."
remote = "/web"
direction = "up"
time_zone = "Europe/Lisbon"
exclude = ["*.log", "!keep.log"]
delete = "trash"
trash = { folder = "sub/bin/", keep = "1d" }
ignore_file = ""
default_excludes = false
ignore_case = true
min_size = "1KB"
max_size = "1GiB"
min_age = "1m"
max_age = "30d"
symlinks = "follow"
on_foreign_change = "keep"
moves = false
verify = "reread"
transfers = 2
allowed = ["22:00-6:00", "12:00 - 24:00"]
hooks = { before = ["NAME OF THIS TEST", "-c", "true"], after = ["./hook", "x"], timeout = "5s" }
upload = { prefix = "", suffix = ".part", folder = "in/coming/", chmod = "0640" }
[sync.drop]
server = ["acme", "other"]
local = "."
remote = "/drop"
direction = "up"
time_zone = "UTC"
remote_name = "{stem}{ext}"
upload = { atomic = false }
mode = "append"
rules = [{ match = "*.csv", mode = "whole" }, { match = ["/x/**"], mode = "append" }]
[sync.eaten]
server = "acme"
local = "../eaten"
remote = "/eaten"
direction = "down"
time_zone = "UTC"
after_download = { move = "done/{date}/" }
claim = true
ready = "{stem}.ok"
[sync.pair]
server = "other"
local = "../pair"
remote = "/pair"
direction = "both"
watch = true
rescan = "30m"
poll = "5m"
watch_poll = "90s"
recheck = "90m"
conflict = "newer"
hooks = { on_error = "echo failed | tee log", shell = true }
`

func TestEveryRuleOfASyncArrives(t *testing.T) {
	cfg := mustLoad(t, optionsFile, nil)
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	lisbon, err := time.LoadLocation("Europe/Lisbon")
	if err != nil {
		t.Fatal(err)
	}
	web := ofDefaults(Sync{Name: "web", Local: here, Remote: "/web", Direction: Up, Enabled: true})
	web.Exclude, web.Delete, web.Trash, web.TrashKeep, web.Hidden = []string{"*.log", "!keep.log"}, true, "sub/bin", day, []string{"sub/bin"}
	web.IgnoreFile, web.DefaultExcludes, web.IgnoreCase, web.Moves = "", false, true, false
	web.MinSize, web.MaxSize, web.MinAge, web.MaxAge = 1000, 1<<30, time.Minute, 30*day
	web.Links, web.OnForeignChange, web.Verify, web.Transfers = LinksFollow, ForeignKeep, VerifyReread, 2
	web.Allowed = []Window{{22 * time.Hour, 6 * time.Hour, lisbon}, {12 * time.Hour, day, lisbon}}
	web.Hooks = Hooks{Before: []string{"NAME OF THIS TEST", "-c", "true"}, After: []string{filepath.Join(here, "hook"), "x"}, Timeout: 5 * time.Second}
	web.TempPrefix, web.TempSuffix, web.TempFolder, web.Mode = "", ".part", "in/coming", 0o640
	drop := ofDefaults(Sync{Name: "drop@acme", Family: "drop", Local: here, Remote: "/drop", Direction: Up, Enabled: true})
	drop.RemoteName = NameTemplate{"{stem}{ext}", time.UTC}
	drop.Moves, drop.Atomic = false, false
	drop.Append = []string{"**", "!*.csv", "/x/**"}
	second := *drop
	second.Name, second.Server = "drop@other", "other"
	eaten := ofDefaults(Sync{Name: "eaten", Local: filepath.Join(filepath.Dir(here), "eaten"), Remote: "/eaten", Direction: Down, Enabled: true})
	eaten.AfterDownload, eaten.Claim = After{Move: NameTemplate{"done/{date}/", time.UTC}}, true
	eaten.Moves, eaten.Ready = false, "{stem}.ok"
	eaten.Hidden = []string{".ferry-trash", "done"}
	pair := ofDefaults(Sync{Name: "pair", Server: "other", Local: filepath.Join(filepath.Dir(here), "pair"), Remote: "/pair", Direction: Both, Watch: true, Enabled: true})
	pair.Conflict, pair.Rescan, pair.Poll, pair.WatchPoll, pair.Recheck = ConflictNewer, 30*time.Minute, 5*time.Minute, 90*time.Second, 90*time.Minute
	pair.Hooks = Hooks{OnError: []string{"echo failed | tee log"}, Shell: true, Timeout: time.Minute}
	want := map[string]*Sync{"web": web, "drop@acme": drop, "drop@other": &second, "eaten": eaten, "pair": pair}
	sameZone := compare.Comparer(func(a, b *time.Location) bool { return a.String() == b.String() })
	if diff := compare.Diff(want, cfg.Syncs, sameZone); diff != "" {
		t.Errorf("syncs (-want +got):\n%s", diff)
	}
	expectProblems(t, &Error{cfg.Warnings}, `agent.toml:5: sync.web: has neither watch nor schedule: it runs only by "ftpferry once web"
agent.toml:27: sync.web.hooks.after: the program "HERE/hook" cannot be run (no such file or directory): install it or write its whole path
agent.toml:27: sync.web.hooks.before: the program "NAME OF THIS TEST" cannot be run (executable file not found in $PATH): install it or write its whole path
agent.toml:29: sync.drop: has neither watch nor schedule: it runs only by "ftpferry once drop"
agent.toml:39: sync.eaten: has neither watch nor schedule: it runs only by "ftpferry once eaten"`)
}

// optionTable: settings of a sync that is otherwise good, and exactly what Load says about them.
var optionTable = []struct{ sentence, direction, settings, want string }{
	{"words of which there is a list", "up", `on_foreign_change = "x"
conflict = "mine"
symlinks = "x"
verify = "x"
mode = "x"`,
		`agent.toml:9: sync.web.on_foreign_change: "x" is not known: write "restore", "keep" or "conflict"
agent.toml:10: sync.web.conflict: "mine" is not known: write "copy", "newer", "local", "remote" or "ask"
agent.toml:11: sync.web.symlinks: "x" is not known: write "skip", "follow" or "preserve"
agent.toml:12: sync.web.verify: "x" is not known: write "size", "hash" or "reread"
agent.toml:13: sync.web.mode: "x" is not known: write "whole" or "append"`},
	{"delete is true or a word", "up", `delete = "yes"`,
		`agent.toml:9: sync.web.delete: "yes" is not known: write true, false (both without quotes) or "trash"`},
	{"delete is no number", "up", `delete = 1`,
		`agent.toml:9: sync.web.delete: must be true, false (both without quotes) or "trash", not a whole number`},
	{"what comes after is a word or a folder", "up", `after_upload = "gone"`,
		`agent.toml:9: sync.web.after_upload: "gone" is not known: write "keep", "delete" or { move = "done/{date}/" }`},
	{"a folder after an unknown key", "up", `after_upload = { mvoe = "done" }`,
		`agent.toml:9: sync.web.after_upload: unknown key "mvoe": write "keep", "delete" or { move = "done/{date}/" }`},
	{"a folder that is none", "up", `after_upload = { move = 1 }`,
		`agent.toml:9: sync.web.after_upload: needs the folder to move to: write "keep", "delete" or { move = "done/{date}/" }`},
	{"what comes after is no list", "up", `after_upload = [1]`,
		`agent.toml:9: sync.web.after_upload: must be "keep", "delete" or { move = "done/{date}/" }, not a list with a whole number`},
	{"a move out of the folder", "up", `after_upload = { move = "../done" }`,
		`agent.toml:9: sync.web.after_upload.move: "../done" is not below the folder of the sync: write a folder relative to it, such as "done/{date}/"`},
	{"a move to an absolute folder", "up", `after_upload = { move = "/done" }`,
		`agent.toml:9: sync.web.after_upload.move: "/done" is not below the folder of the sync: write a folder relative to it, such as "done/{date}/"`},
	{"a move to the folder itself", "up", `after_upload = { move = "./" }`,
		`agent.toml:9: sync.web.after_upload.move: "./" is not below the folder of the sync: write a folder relative to it, such as "done/{date}/"`},
	{"a move to a folder without a fixed name", "up", `after_upload = { move = "{date}/" }`,
		`agent.toml:9: sync.web.after_upload.move: "{date}/": the first folder has a fixed name, such as "done/{date}/", since it is left out of the sync`},
	{"a move by the time of the file", "up", `after_upload = { move = "done/{mtime:2006}/" }`,
		`agent.toml:9: sync.web.after_upload.move: "done/{mtime:2006}/": {mtime:...} is not known there: write {now:2006-01-02}, the time of the move`},
	{"a placeholder that is nearly known", "up", `remote_name = "{nane}"`,
		`agent.toml:9: sync.web.remote_name: "{nane}": {nane} is not known (did you mean {name}?)`},
	{"a placeholder with a layout that is nearly known", "up", `remote_name = "{mtme:2006}"`,
		`agent.toml:9: sync.web.remote_name: "{mtme:2006}": {mtme:2006} is not known (did you mean {mtime:2006}?)`},
	{"a placeholder like no other", "up", `remote_name = "{whatever}"`,
		`agent.toml:9: sync.web.remote_name: "{whatever}": {whatever} is not known: write one of {name}, {stem}, {ext}, {date}, {time}, {mtime:2006-01-02}, {now:2006-01-02}`},
	{"a placeholder without its end", "up", `remote_name = "{name"`,
		`agent.toml:9: sync.web.remote_name: "{name": a "{" without a "}" behind it`},
	{"an end without its placeholder", "up", `remote_name = "name}"`,
		`agent.toml:9: sync.web.remote_name: "name}" has a "}" without a "{" before it`},
	{"an empty placeholder", "up", `remote_name = "{}x"`,
		`agent.toml:9: sync.web.remote_name: "{}x": {} says nothing: write one of {name}, {stem}, {ext}, {date}, {time}, {mtime:2006-01-02}, {now:2006-01-02}`},
	{"a time without a layout", "up", `remote_name = "{stem}{mtime}"`,
		`agent.toml:9: sync.web.remote_name: "{stem}{mtime}": {mtime} needs a layout, such as {mtime:2006-01-02}`},
	{"a layout of another language", "up", `remote_name = "{stem}{mtime:YYYYMMDD}"`,
		`agent.toml:9: sync.web.remote_name: "{stem}{mtime:YYYYMMDD}": "YYYYMMDD" is not a layout: write 2006 for the year, 01 for the month, 02 for the day, 15 for the hour, 04 for the minute and 05 for the second, such as {mtime:2006-01-02}`},
	{"a layout where there is none", "up", `remote_name = "{date:2006}"`,
		`agent.toml:9: sync.web.remote_name: "{date:2006}": {date:2006} has no layout: write {date}, or {now:2006}`},
	{"a ready file in another folder", "up", `ready = "done/{name}"`,
		`agent.toml:9: sync.web.ready: "done/{name}" has a slash: write the name alone, such as "{name}.done", in the folder of the file that it is about`},
	{"a ready file that is the file", "down", `ready = "{stem}{ext}"`,
		`agent.toml:9: sync.web.ready: "{stem}{ext}" would be the name of the files themselves: write more, such as "{name}.done"`},
	{"a ready file that is the folder", "up", `ready = ".."`,
		`agent.toml:9: sync.web.ready: ".." would be the name of the files themselves: write more, such as "{name}.done"`},
	{"a ready file with a time", "up", `ready = "{name}.{date}"`,
		`agent.toml:9: sync.web.ready: "{name}.{date}" holds a time: the name is made of {name}, {stem} and {ext}, such as "{name}.done"`},
	{"a ready file for all of one kind", "up", `ready = "done{ext}"`,
		`agent.toml:9: sync.web.ready: "done{ext}" does not say which file it is about: write {name} or {stem} too, or a name without any placeholder for all files of a folder`},
	{"a ready file that is not made of what is known", "up", `ready = "{nam}.done"`,
		`agent.toml:9: sync.web.ready: "{nam}.done": {nam} is not known (did you mean {name}?)`},
	{"a ready file where both sides are sources", "both", `ready = "{name}.done"`,
		`agent.toml:9: sync.web.ready: is for direction = "up" and "down", where one side is the source: remove the line`},
	{"a ready file for what is never complete", "up", "ready = \"{name}.done\"\nmode = \"append\"",
		`agent.toml:9: sync.web.ready: a file that only ever grows is never complete: remove it, or mode = "append"`},
	{"a remote name in a folder", "up", `remote_name = "x/{name}"`,
		`agent.toml:9: sync.web.remote_name: "x/{name}" has a slash: it is the name alone, and a file stays in its folder`},
	{"a remote name with a folder in its layout", "up", `remote_name = "{name}{mtime:2006/01}"`,
		`agent.toml:9: sync.web.remote_name: "{name}{mtime:2006/01}" has a slash: it is the name alone, and a file stays in its folder`},
	{"a remote name that changes all the time", "up", `remote_name = "{stem}_{date}{ext}"`,
		`agent.toml:9: sync.web.remote_name: "{stem}_{date}{ext}" would be another name at every look, and the file would be sent again: write {mtime:2006-01-02}, the time of the file itself`},
	{"a remote name that ends the command", "up", `remote_name = "{name}\r\nDELE x"`,
		`agent.toml:9: sync.web.remote_name: "{name}\r\nDELE x" contains a control character`},
	{"sizes and ages the wrong way round", "up", `min_size = "2KB"
max_size = "1KB"
min_age = "2h"
max_age = "1h"`,
		`agent.toml:9: sync.web.min_size: is more than max_size: no file would take part
agent.toml:11: sync.web.min_age: is not less than max_age: no file would take part`},
	{"too old before it is settled", "up", `settle = "1h"
max_age = "30m"`,
		`agent.toml:10: sync.web.max_age: is not more than settle (1h0m0s): a file would be too old when it may be sent`},
	{"polling without a pause", "up", `watch = true
watch_poll = "500ms"`,
		`agent.toml:10: sync.web.watch_poll: 500ms is too often: the whole folder is looked at each time, so write at least 1s`},
	{"polling without a watch", "up", `watch_poll = "5m"`,
		`agent.toml:9: sync.web.watch_poll: has no meaning without watch: write watch = true, or remove it`},
	{"a poll in the past", "up", `watch = true
watch_poll = "-5m"`,
		`agent.toml:10: sync.web.watch_poll: -5m0s is negative`},
	{"an age below zero", "up", `min_age = "-1h"
max_age = 5`,
		`agent.toml:9: sync.web.min_age: -1h0m0s is negative
agent.toml:10: sync.web.max_age: 5 has no unit: write "5s" if seconds are meant`},
	{"an ignore file in a folder", "up", `ignore_file = "a/b"`,
		`agent.toml:9: sync.web.ignore_file: "a/b" is not the name of a file: write one without slashes, such as ".ferryignore", or "" for none`},
	{"a trash without a folder", "up", `delete = "trash"
trash = { folder = "" }`,
		`agent.toml:10: sync.web.trash.folder: is empty: write a folder, such as ".ferry-trash"`},
	{"a trash outside", "up", `delete = "trash"
trash = { folder = "a/../..", keep = "-1d" }`,
		`agent.toml:10: sync.web.trash.folder: "a/../.." is not below the folder of the sync: write a folder relative to it, such as ".ferry-trash"
agent.toml:10: sync.web.trash.keep: "-1d" is not a duration: write a number with a unit in quotes, such as "5s", "1m30s", "24h" or "90d"`},
	{"a trash that is not used", "up", `delete = true
trash = { folder = ".bin" }`,
		`agent.toml:10: sync.web.trash: is not used by delete = true, which deletes for good: write delete = "trash"`},
	{"a trash where unfinished files are", "up", `delete = "trash"
upload = { folder = ".ferry-trash/in" }`,
		`agent.toml:10: sync.web.upload.folder: and trash.folder (".ferry-trash") are one inside the other: give them folders apart`},
	{"temporary names for nobody", "up", `upload = { atomic = false, prefix = "x", suffix = ".part", folder = "in" }`,
		`agent.toml:9: sync.web.upload.folder: has no meaning with atomic = false, which uses no temporary name: remove one of them
agent.toml:9: sync.web.upload.prefix: has no meaning with atomic = false, which uses no temporary name: remove one of them
agent.toml:9: sync.web.upload.suffix: has no meaning with atomic = false, which uses no temporary name: remove one of them`},
	{"files that are not complete, both ways", "both", `upload = { atomic = false }`,
		`agent.toml:9: sync.web.upload.atomic: false is not for direction = "both": half of a file, of an upload that was cut off, would pass for a new version and come back: remove it`},
	{"temporary names that cannot be", "up", `upload = { prefix = "a/b", suffix = "1", folder = "/in", chmod = "999" }`,
		`agent.toml:9: sync.web.upload.chmod: "999" are no permissions: write them as three or four octal digits, such as "0644", up to "0777"
agent.toml:9: sync.web.upload.folder: "/in" is not below the folder of the sync: write a folder relative to it, such as ".incoming"
agent.toml:9: sync.web.upload.prefix: "a/b" contains a slash: a place for temporary names is written as folder
agent.toml:9: sync.web.upload.suffix: "1" begins with a digit, which the number before it would swallow: write one such as ".part"`},
	{"temporary names that servers cut", "up", `upload = { prefix = " x", suffix = ".part." }`,
		`agent.toml:9: sync.web.upload.prefix: " x" begins or ends with a space or ends with a dot, which servers cut off
agent.toml:9: sync.web.upload.suffix: ".part." begins or ends with a space or ends with a dot, which servers cut off`},
	{"permissions beyond those of files", "up", `upload = { chmod = "4755" }`,
		`agent.toml:9: sync.web.upload.chmod: "4755" are no permissions: write them as three or four octal digits, such as "0644", up to "0777"`},
	{"permissions without quotes", "up", `upload = { chmod = 0o644 }`,
		`agent.toml:9: sync.web.upload.chmod: must be a string in quotes, not a whole number`},
	{"rules that say nothing", "up", `rules = [{ mode = "append" }]`,
		`agent.toml:9: sync.web.rules: a rule without match: write a list such as [{ match = ["*.log"], mode = "append" }]`},
	{"rules of an unknown mode", "up", `rules = [{ match = "*", mode = "tail" }]`,
		`agent.toml:9: sync.web.rules: the rule for ["*"] has a mode that is neither "whole" nor "append": write a list such as [{ match = ["*.log"], mode = "append" }]`},
	{"rules with an unknown key", "up", `rules = [{ match = "*", mode = "append", x = 1 }]`,
		`agent.toml:9: sync.web.rules: unknown key "x": write a list such as [{ match = ["*.log"], mode = "append" }]`},
	{"rules that are none", "up", `rules = ["*.log"]`,
		`agent.toml:9: sync.web.rules: must be a list such as [{ match = ["*.log"], mode = "append" }]`},
	{"rules with patterns that cannot be", "up", `rules = [{ match = ["a//b", "!x"], mode = "append" }]`,
		`agent.toml:9: sync.web.rules: the pattern "!x" begins with "!": write a rule of its own with the other mode behind it
agent.toml:9: sync.web.rules: the pattern "a//b" does not work: it names nothing: there has to be a name around each slash`},
	{"too many transfers", "up", `transfers = 65`,
		`agent.toml:9: sync.web.transfers: 65 is out of range: 1 to 64, or 0 for as many as the server allows`},
	{"windows", "up", `allowed = ["22:00", "22:00-22:00", "25:00-9:5", "00:00-24:01"]`,
		`agent.toml:9: sync.web.allowed: "22:00" is not a time window: write FROM-TO, such as "22:00-06:00"
agent.toml:9: sync.web.allowed: "22:00-22:00" ends when it begins: write "00:00-24:00" for the whole day
agent.toml:9: sync.web.allowed: "24:01" is not a time of day such as 08:00 or 23:59: write FROM-TO, such as "22:00-06:00"
agent.toml:9: sync.web.allowed: "25:00" is not a time of day such as 08:00 or 23:59, "9:5" is not a time of day such as 08:00 or 23:59: write FROM-TO, such as "22:00-06:00"`},
	{"hooks", "up", `hooks = { before = [""], after = ["a", "b"], shell = true, timeout = "0s" }`,
		`agent.toml:9: sync.web.hooks.after: has several elements: with shell = true it is one line, such as "notify done"
agent.toml:9: sync.web.hooks.before: names no program: write ["notify", "done"], or [] for none
agent.toml:9: sync.web.hooks.timeout: must be more than zero`},
	{"hooks are strings", "up", `hooks = { before = 1, on_error = ["a", "\u0000"] }`,
		`agent.toml:9: sync.web.hooks.before: must be a string or a list of strings, not a whole number
agent.toml:9: sync.web.hooks.on_error: contains a NUL character, which no program can be given`},
	{"a hook by variables", "up", `hooks = { before = ["$HOME/hook"] }`,
		`agent.toml:9: sync.web.hooks.before: variables are not expanded in "$HOME/hook": write the whole path (or "./$..." for a name that begins so)`},
	{"changes by others where there are none", "both", `on_foreign_change = "keep"`,
		`agent.toml:9: sync.web.on_foreign_change: is for direction = "up" and "down"; for "both" there is conflict: remove the line`},
	{"conflicts have two sides", "down", `conflict = "ask"`,
		`agent.toml:9: sync.web.conflict: is for direction = "both"; for "up" and "down" there is on_foreign_change: remove the line`},
	{"uploads of a sync that goes down", "down", `remote_name = "{name}x"
after_upload = "delete"
mode = "append"
rules = [{ match = "*", mode = "append" }]
upload = { atomic = false, prefix = "", suffix = ".x", folder = "in", chmod = "644" }`,
		`agent.toml:9: sync.web.remote_name: is for direction = "up": remove the line
agent.toml:10: sync.web.after_upload: is for direction = "up": remove the line
agent.toml:11: sync.web.mode: is for direction = "up": remove the line
agent.toml:12: sync.web.rules: is for direction = "up": remove the line
agent.toml:13: sync.web.upload.atomic: is for uploads, and direction = "down" has none: remove it
agent.toml:13: sync.web.upload.chmod: is for uploads, and direction = "down" has none: remove it
agent.toml:13: sync.web.upload.folder: is for uploads, and direction = "down" has none: remove it
agent.toml:13: sync.web.upload.prefix: is for uploads, and direction = "down" has none: remove it
agent.toml:13: sync.web.upload.suffix: is for uploads, and direction = "down" has none: remove it`},
	{"downloads of a sync that goes up", "up", `after_download = "delete"
claim = true`,
		`agent.toml:9: sync.web.after_download: is for direction = "down": remove the line
agent.toml:10: sync.web.claim: is for direction = "down": remove the line`},
	{"what goes away in both directions", "both", `after_download = "delete"
claim = true
after_upload = "delete"
remote_name = "x{name}"
mode = "append"`,
		`agent.toml:9: sync.web.after_download: is for direction = "down": remove the line
agent.toml:10: sync.web.claim: is for direction = "down": remove the line
agent.toml:11: sync.web.after_upload: is for direction = "up": remove the line
agent.toml:12: sync.web.remote_name: is for direction = "up": remove the line
agent.toml:13: sync.web.mode: is for direction = "up": remove the line`},
	{"what is sent and gone is not deleted", "up", `after_upload = "delete"
delete = true`,
		`agent.toml:9: sync.web.after_upload: with delete the file would be deleted on the server when it is gone here: remove one of them`},
	{"what is fetched and gone is not deleted", "down", `after_download = "delete"
claim = true
delete = "trash"`,
		`agent.toml:9: sync.web.after_download: with delete the file would be deleted here when it is gone on the server: remove one of them
agent.toml:10: sync.web.claim: with delete another agent would delete its copy while the file has the name of a claim: remove one of them`},
	{"names of their own are not deleted", "up", `remote_name = "x{name}"
delete = true`,
		`agent.toml:9: sync.web.remote_name: with delete files that are named otherwise would be deleted on the server: remove one of them`},
	{"links do not go away", "up", `symlinks = "preserve"
after_upload = "delete"`,
		`agent.toml:9: sync.web.symlinks: "preserve" makes links and transfers nothing, so that they would stay: write "skip", or remove after_upload and after_download`},
	{"what is behind a link does not go away", "up", `symlinks = "follow"
after_upload = "delete"`,
		`agent.toml:9: sync.web.symlinks: with "follow" what is behind a link is only read, and would have to go: write "skip", or remove after_upload, after_download and claim`},
	{"nor is it renamed on the server", "down", `symlinks = "follow"
claim = true
after_download = "delete"`,
		`agent.toml:9: sync.web.symlinks: with "follow" what is behind a link is only read, and would have to go: write "skip", or remove after_upload, after_download and claim`},
	{"what grows stays under its name", "up", `mode = "append"
after_upload = "delete"
remote_name = "{stem}{mtime:2006}{ext}"`,
		`agent.toml:10: sync.web.after_upload: a file that grows has to stay: write "keep", or remove mode = "append"
agent.toml:11: sync.web.remote_name: a file that grows would get another name each time: remove {mtime:...}, or mode = "append"`},
}

func TestOptionProblems(t *testing.T) {
	for _, c := range optionTable {
		t.Run(c.sentence, func(t *testing.T) {
			settings := "local = \".\"\nremote = \"r\"\nschedule = \"@daily\"\ndirection = \"" + c.direction + "\"\n" + c.settings + "\n"
			_, err := load(t, server+sync("web", settings), nil)
			expectProblems(t, err, c.want)
		})
	}
}

func TestSeveralServers(t *testing.T) {
	const two = "[server.a]\naddress = [\"h:21\", \"h\", \"i i\", \"\"]\nbandwidth = \"8:00,1MiB 08:00,off\"\n[server.b]\naddress = []\n"
	_, err := load(t, two+"[sync.s]\nserver = [\"a\", \"a\", \"c\", \"\"]\n"+up, nil)
	expectProblems(t, err, `agent.toml:1: server.a: address is required, such as address = "ftp.example.com"
agent.toml:3: server.a.bandwidth: 08:00 is in it twice: keep one of them
agent.toml:4: server.b: address is required, such as address = "ftp.example.com"
agent.toml:6: sync.s: server is required, such as server = "NAME of a [server.NAME]"`)
	const rows = "[server.a]\naddress = [\"h:21\", \"h\", \"i i\"]\n[sync.s]\nserver = [\"a\", \"a\", \"c\"]\nlocal = \".\"\nremote = \"r\"\nschedule = \"@daily\"\n"
	_, err = load(t, rows+"direction = \"up\"\nafter_upload = \"delete\"\n", nil)
	expectProblems(t, err, `agent.toml:2: server.a.address: "h" is in the list twice: keep one of them
agent.toml:2: server.a.address: "i i" is not a host name or IP address (a name with other letters is written as xn--...)
agent.toml:4: sync.s.server: "a" is in the list twice: keep one of them
agent.toml:4: sync.s.server: there is no [server.c] (known: a)
agent.toml:9: sync.s.after_upload: takes the file away from the other servers, once it is on one of them: write "keep", or one server`)
	_, err = load(t, "[server.a]\naddress = \"h\"\n[server.b]\naddress = \"i\"\n"+strings.Replace(rows[strings.Index(rows, "[sync"):], `"a", "c"`, `"b"`, 1)+"direction = \"both\"\n", nil)
	expectProblems(t, err, `agent.toml:6: sync.s.server: several servers are for direction = "up": write one sync per server`)
}

func TestWhatIsAllowedAndHardlyMeant(t *testing.T) {
	cfg := mustLoad(t, server+sync("web", "local = \".\"\nremote = \"r\"\ndirection = \"down\"\nschedule = \"@daily\"\nclaim = true\ntrash = { keep = \"1d\" }\n"+
		"transfers = 5\nhooks = { before = \"no such program\" }\n")+sync("up", "local = \"up\"\nremote = \"up\"\ndirection = \"up\"\nwatch = true\nremote_name = \"latest{ext}\"\nenabled = false\nhooks = { shell = true }\n"), nil)
	expectProblems(t, &Error{cfg.Warnings}, `agent.toml:9: sync.web.claim: is of little use with after_download = "keep": the file gets its name back, and others take it, too
agent.toml:10: sync.web.trash: has no effect without delete = "trash"
agent.toml:11: sync.web.transfers: has no effect: server.acme has 4 connections
agent.toml:12: sync.web.hooks.before: the program "no such program" cannot be run (executable file not found in $PATH): a command is a list such as ["notify", "done"], or one line with shell = true
agent.toml:19: sync.up.remote_name: "latest{ext}" holds nothing of the local name: of several files in a folder only one can be sent
agent.toml:21: sync.up.hooks.shell: has no effect without before, after or on_error`)
}

// TestNamesThatFilesShareOneAfterTheOther: while both are here neither is sent, but nothing knows any more of one that has gone.
func TestNamesThatFilesShareOneAfterTheOther(t *testing.T) {
	for settings, shared := range map[string]bool{
		"remote_name = \"{stem}\"\nafter_upload = \"delete\"\n":                   true,
		"remote_name = \"{stem}.dat\"\nafter_upload = { move = \"done\" }\n":      true,
		"remote_name = \"{stem}\"\n":                                              false,
		"remote_name = \"{stem}_{mtime:2006}{ext}\"\nafter_upload = \"delete\"\n": false,
		"remote_name = \"{name}\"\nafter_upload = \"delete\"\n":                   false,
		"after_upload = \"delete\"\n":                                             false,
	} {
		cfg := mustLoad(t, server+sync("web", "local = \".\"\nremote = \"r\"\ndirection = \"up\"\nschedule = \"@daily\"\n"+settings), nil)
		want := ""
		if shared {
			want = "agent.toml:9: sync.web.remote_name: leaves out the extension: with after_upload a file replaces one on the server that had another extension here and has gone: add {ext}"
		}
		expectProblems(t, &Error{cfg.Warnings}, want)
	}
}

// TestWhatADropBoxProves: what goes here may have nothing but the word of the server.
func TestWhatADropBoxProves(t *testing.T) {
	for settings, want := range map[string]string{
		"after_upload = \"delete\"\n":                                               "",
		"after_upload = \"keep\"\nupload = { atomic = false }\n":                    "",
		"after_upload = \"delete\"\nupload = { atomic = false }\n":                  "agent.toml:9: ",
		"upload = { atomic = false }\nafter_upload = { move = \"done/{date}/\" }\n": "agent.toml:10: ",
	} {
		cfg := mustLoad(t, server+sync("web", "local = \".\"\nremote = \"r\"\ndirection = \"up\"\nschedule = \"@daily\"\n"+settings), nil)
		if want != "" {
			want += "sync.web.after_upload: with upload.atomic = false: a server that shows nothing of what it has proves by its final reply alone that the file is there, before it goes here"
		}
		expectProblems(t, &Error{cfg.Warnings}, want)
	}
}
