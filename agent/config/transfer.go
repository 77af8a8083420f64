package config

import (
	"errors"
	"io/fs"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// mostPermissions are the bits that chmod may set.
const mostPermissions = 0o777

// transfer is about how files travel.
func (l *loader) transfer(at key, sync *Sync, file *rawSync) {
	upload, atUpload := file.Upload, at.child("upload")
	sync.Atomic, sync.TempPrefix, sync.TempSuffix = upload.Atomic, upload.Prefix, upload.Suffix
	if upload.Folder != "" {
		sync.TempFolder = l.below(atUpload.child("folder"), upload.Folder, ".incoming")
	}
	for name, part := range map[string]string{"prefix": upload.Prefix, "suffix": upload.Suffix} {
		if problem := checkAffix(part); problem != "" {
			l.fail(atUpload.child(name), "%q %s", part, problem)
		}
	}
	if upload.Suffix != "" && unicode.IsDigit(rune(upload.Suffix[0])) {
		l.fail(atUpload.child("suffix"), `%q begins with a digit, which the number before it would swallow: write one such as ".part"`, upload.Suffix)
	}
	sync.Mode = l.permissions(atUpload.child("chmod"), upload.Chmod)
	sync.Verify = file.Verify
	sync.Claim = file.Claim
	sync.Append = l.appends(at, file)
}

// checkAffix returns what is wrong with what stands before or behind temporary names, or "".
func checkAffix(text string) string {
	const longest = 32
	switch {
	case hasControl(text):
		return "contains a control character"
	case strings.ContainsAny(text, `/\`):
		return "contains a slash: a place for temporary names is written as folder"
	case len(text) > longest:
		return "is too long: at most " + strconv.Itoa(longest) + " bytes"
	case strings.TrimSpace(text) != text || strings.HasSuffix(text, ".") && len(text) > 1:
		return "begins or ends with a space or ends with a dot, which servers cut off"
	}
	return ""
}

func (l *loader) permissions(at key, text string) fs.FileMode {
	if text == "" {
		return 0
	}
	bits, err := strconv.ParseUint(text, 8, 16)
	if err != nil || bits == 0 || bits > mostPermissions || len(text) < 3 {
		l.fail(at, `%q are no permissions: write them as three or four octal digits, such as "0644", up to "0777"`, text)
		return 0
	}
	return fs.FileMode(bits)
}

// appends makes ordered patterns out of mode and its exceptions.
func (l *loader) appends(at key, file *rawSync) []string {
	var patterns []string
	if file.Mode == modeAppend {
		patterns = []string{"**"}
	}
	for _, rule := range file.Rules {
		for _, pattern := range l.patterns(at.child("rules"), rule.match) {
			if strings.HasPrefix(pattern, "!") {
				l.fail(at.child("rules"), `the pattern %q begins with "!": write a rule of its own with the other mode behind it`, pattern)
			}
			switch {
			case rule.mode == modeAppend:
				patterns = append(patterns, pattern)
			case len(patterns) > 0: // else there is nothing to take back
				patterns = append(patterns, "!"+pattern)
			}
		}
	}
	return patterns
}

// naming is about the names of files at the target, and what becomes of those at the source.
func (l *loader) naming(at key, sync *Sync, file *rawSync, zone *time.Location) {
	sync.RemoteName = l.remoteName(at.child("remote_name"), file.RemoteName, zone)
	sync.AfterUpload = l.after(at.child("after_upload"), sync, file.AfterUpload, zone)
	sync.AfterDownload = l.after(at.child("after_download"), sync, file.AfterDownload, zone)
}

func (l *loader) remoteName(at key, text string, zone *time.Location) NameTemplate {
	template, err := ParseNameTemplate(text, zone)
	switch {
	case text == "":
		return NameTemplate{}
	case err != nil:
		l.fail(at, "%s", err)
	case strings.ContainsAny(text, `/\`):
		l.fail(at, "%q has a slash: it is the name alone, and a file stays in its folder", text)
	case template.uses(placeDate, placeTime, placeNow):
		l.fail(at, "%q would be another name at every look, and the file would be sent again: write {mtime:%s}, the time of the file itself",
			text, dateLayout)
	default:
		if !template.uses(placeName, placeStem) {
			l.warn(at, "%q holds nothing of the local name: of several files in a folder only one can be sent", text)
		}
		return template
	}
	return NameTemplate{}
}

func (l *loader) after(at key, sync *Sync, file rawAfter, zone *time.Location) After {
	if file.word != afterMove {
		return After{Delete: file.word == afterDelete}
	}
	at = at.child(afterMove)
	template, err := ParseNameTemplate(file.move, zone)
	first, _, _ := strings.Cut(path.Clean(file.move), "/")
	switch {
	case err != nil:
		l.fail(at, "%s", err)
	case template.uses(placeMTime):
		l.fail(at, "%q: {mtime:...} is not known there: write {now:%s}, the time of the move", file.move, dateLayout)
	case l.below(at, file.move, "done/{date}/") == "":
	case strings.ContainsAny(first, "{}"):
		l.fail(at, `%q: the first folder has a fixed name, such as "done/{date}/", since it is left out of the sync`, file.move)
	default:
		sync.Hidden = append(sync.Hidden, first)
		return After{Move: template}
	}
	return After{}
}

// pace is about when, how many at a time, and what runs around transfers.
func (l *loader) pace(at key, sync *Sync, file *rawSync, zone *time.Location) {
	sync.Transfers = int(file.Transfers)
	if file.Transfers < 0 || file.Transfers > maxConnections {
		l.fail(at.child("transfers"), "%d is out of range: 1 to %d, or 0 for as many as the server allows", file.Transfers, maxConnections)
	}
	for _, text := range file.Allowed {
		window, err := ParseWindow(text, zone)
		if err != nil {
			l.fail(at.child("allowed"), "%s", err)
			continue
		}
		sync.Allowed = append(sync.Allowed, window)
	}
	hooks, atHooks := file.Hooks, at.child("hooks")
	sync.Hooks = Hooks{
		Before:  l.command(atHooks.child("before"), hooks.Before, hooks.Shell),
		After:   l.command(atHooks.child("after"), hooks.After, hooks.Shell),
		OnError: l.command(atHooks.child("on_error"), hooks.OnError, hooks.Shell),
		Shell:   hooks.Shell,
		Timeout: l.duration(atHooks.child("timeout"), hooks.Timeout, 1),
	}
	if hooks.Shell && len(hooks.Before)+len(hooks.After)+len(hooks.OnError) == 0 {
		l.warn(atHooks.child("shell"), "has no effect without before, after or on_error")
	}
}

// reasonOfLookup is the error without the program that package exec puts in front.
func reasonOfLookup(err error) string {
	if lookup, ok := errors.AsType[*exec.Error](err); ok {
		err = lookup.Err
	}
	return reason(err)
}

// command checks a hook. A program with a slash in its name is relative to the file, others are looked for when they run.
func (l *loader) command(at key, command []string, shell bool) []string {
	switch {
	case len(command) == 0:
		return nil
	case strings.TrimSpace(command[0]) == "":
		l.fail(at, `names no program: write ["notify", "done"], or [] for none`)
		return nil
	case strings.ContainsRune(strings.Join(command, ""), 0):
		l.fail(at, "contains a NUL character, which no program can be given")
		return nil
	case shell && len(command) > 1:
		l.fail(at, `has several elements: with shell = true it is one line, such as "notify done"`)
		return nil
	case shell:
		return command
	}
	program := command[0]
	if strings.ContainsAny(program, `/\`) {
		if program = l.path(at, program); program == "" {
			return nil
		}
	}
	if _, err := exec.LookPath(program); err != nil {
		cure := "install it or write its whole path"
		if strings.Contains(program, " ") && len(command) == 1 {
			cure = `a command is a list such as ["notify", "done"], or one line with shell = true`
		}
		l.warn(at, "the program %q cannot be run (%s): %s", program, reasonOfLookup(err), cure)
	}
	return append([]string{program}, command[1:]...)
}
