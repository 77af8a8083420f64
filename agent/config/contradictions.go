package config

import "strings"

// atomicContradictions: without temporary names nothing of them has a meaning.
func (l *loader) atomicContradictions(at key, upload rawUpload) {
	if upload.Atomic {
		return
	}
	for _, option := range []struct {
		name string
		set  bool
	}{{"prefix", upload.Prefix != "" && upload.Prefix != "."}, {"suffix", upload.Suffix != ""}, {"folder", upload.Folder != ""}} {
		if option.set {
			l.fail(at.child(option.name), "has no meaning with atomic = false, which uses no temporary name: remove one of them")
		}
	}
}

// contradictions refuses options that mean nothing, or the contrary of what is likely meant, beside others. An option that
// has its default never is a contradiction.
func (l *loader) contradictions(at key, sync *Sync, file *rawSync) {
	if sync.Direction != "" {
		l.otherDirection(at, sync, file)
	}
	l.atomicContradictions(at.child("upload"), file.Upload)
	consumes := sync.AfterUpload != After{} || sync.AfterDownload != After{}
	for _, c := range []struct {
		key         string
		contradicts bool
		text        string
	}{
		{"after_upload", sync.AfterUpload != After{} && sync.Delete,
			"with delete the file would be deleted on the server when it is gone here: remove one of them"},
		{"after_download", sync.AfterDownload != After{} && sync.Delete,
			"with delete the file would be deleted here when it is gone on the server: remove one of them"},
		{"remote_name", file.RemoteName != "" && sync.Delete,
			"with delete files that are named otherwise would be deleted on the server: remove one of them"},
		{"symlinks", sync.Links == LinksPreserve && consumes,
			`"preserve" makes links and transfers nothing, so that they would stay: write "skip", or remove after_upload and after_download`},
		{"symlinks", sync.Links == LinksFollow && (consumes || sync.Claim),
			`with "follow" what is behind a link is only read, and would have to go: write "skip", or remove after_upload, after_download and claim`},
		{"ready", file.Ready != "" && len(sync.Append) > 0,
			`a file that only ever grows is never complete: remove it, or mode = "append"`},
		{"after_upload", sync.AfterUpload != After{} && len(sync.Append) > 0,
			`a file that grows has to stay: write "keep", or remove mode = "append"`},
		{"remote_name", sync.RemoteName.uses(placeMTime) && len(sync.Append) > 0,
			`a file that grows would get another name each time: remove {mtime:...}, or mode = "append"`},
		{"claim", sync.Claim && sync.Delete,
			"with delete another agent would delete its copy while the file has the name of a claim: remove one of them"},
	} {
		if c.contradicts {
			l.fail(at.child(c.key), "%s", c.text)
		}
	}
	l.trashContradictions(at, sync, file)
	if sync.Claim && sync.AfterDownload == (After{}) && sync.Direction == Down {
		l.warn(at.child("claim"), `is of little use with after_download = "keep": the file gets its name back, and others take it, too`)
	}
	if name := sync.RemoteName; sync.AfterUpload != (After{}) && name.uses(placeStem) && !name.uses(placeName) && !name.uses(placeExt) {
		l.warn(at.child("remote_name"), "leaves out the extension: with after_upload a file replaces one on the server that had another extension here and has gone: add {ext}")
	}
	if sync.AfterUpload != (After{}) && sync.Direction == Up && !sync.Atomic {
		l.warn(at.child("after_upload"), "with upload.atomic = false: a server that shows nothing of what it has proves by its final reply alone that the file is there, before it goes here")
	}
}

// otherDirection refuses options of another direction.
func (l *loader) otherDirection(at key, sync *Sync, file *rawSync) {
	up, down, both := sync.Direction == Up, sync.Direction == Down, sync.Direction == Both
	for _, c := range []struct {
		key         string
		contradicts bool
		where       string
	}{
		{"on_foreign_change", both && sync.OnForeignChange != ForeignRestore, `"up" and "down"; for "both" there is conflict`},
		{"conflict", !both && sync.Conflict != ConflictCopy, `"both"; for "up" and "down" there is on_foreign_change`},
		{"remote_name", !up && file.RemoteName != "", `"up"`},
		{"after_upload", !up && sync.AfterUpload != After{}, `"up"`},
		{"after_download", !down && sync.AfterDownload != After{}, `"down"`},
		{"claim", !down && sync.Claim, `"down"`},
		{"ready", both && file.Ready != "", `"up" and "down", where one side is the source`},
		{"mode", !up && file.Mode == modeAppend, `"up"`},
		{"rules", !up && len(file.Rules) > 0, `"up"`},
	} {
		if c.contradicts {
			l.faulty(at.child(c.key), `is for direction = %s: remove the line`, c.where)
		}
	}
	upload := at.child("upload")
	if both && !sync.Atomic {
		l.faulty(upload.child("atomic"), `false is not for direction = "both": half of a file, of an upload that was cut off, would pass for a new version and come back: remove it`)
	}
	if !down {
		return
	}
	for _, c := range []struct {
		key         string
		contradicts bool
	}{
		{"atomic", !sync.Atomic}, {"prefix", sync.TempPrefix != "."}, {"suffix", sync.TempSuffix != ""},
		{"folder", file.Upload.Folder != ""}, {"chmod", file.Upload.Chmod != ""},
	} {
		if c.contradicts {
			l.faulty(upload.child(c.key), `is for uploads, and direction = "down" has none: remove it`)
		}
	}
}

func (l *loader) trashContradictions(at key, sync *Sync, file *rawSync) {
	var defaults rawSync
	defaults.setDefaults()
	if file.Trash != defaults.Trash {
		switch file.Delete {
		case deleteGone:
			l.fail(at.child("trash"), `is not used by delete = true, which deletes for good: write delete = "trash"`)
		case deleteNever:
			l.warn(at.child("trash"), `has no effect without delete = "trash"`)
		}
	}
	folder := strings.TrimSuffix(sync.TempFolder, "/")
	if trash := sync.Trash; trash != "" && folder != "" && (within(folder, trash, "/") || within(trash, folder, "/")) {
		l.fail(at.child("upload").child("folder"), "and trash.folder (%q) are one inside the other: give them folders apart", trash)
	}
}
