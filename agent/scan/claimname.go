package scan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state/entry"
)

// claimMark stands in the name of every file that an agent has claimed. It is no temporary name: what bears it is the only copy
// of somebody's file, and is never swept away.
const claimMark = tempMark + "claim-"

// ClaimName is the name beside name that a job gives a file on the server while it downloads it, so that nobody else takes it:
// ".NAME.ftpferry-claim-INSTANCE-JOB". A local file has it for a moment before it goes after its upload. All attempts of a job have the same one, by which they find it again. Names that would
// grow too long are shortened by hash; then only the job itself knows what the file is called.
func ClaimName(name, instance string, job uint64) string {
	suffix := fmt.Sprintf("%s%s-%x", claimMark, instance, job)
	if len(name)+len(suffix)+1 > maxName {
		sum := sha256.Sum256([]byte(name))
		name = hex.EncodeToString(sum[:16])
	}
	return "." + name + suffix
}

// ParseClaimName says whether name is that of a claimed file, whose it is, and what it was called before.
func ParseClaimName(name string) (before, instance string, job uint64, ok bool) {
	at := strings.LastIndex(name, claimMark)
	if at <= 0 {
		return "", "", 0, false
	}
	instance, number, found := strings.Cut(name[at+len(claimMark):], "-")
	if _, err := strconv.ParseUint(instance, 16, 32); !found || len(instance) != 8 || err != nil {
		return "", "", 0, false
	}
	job, err := strconv.ParseUint(number, 16, 64)
	return strings.TrimPrefix(name[:at], "."), instance, job, err == nil
}

// claimed notes a claimed file that no job of this agent is at. Of others' nobody can tell from here whether they are at work.
func (w *walker) claimed(item plan.Item, before, instance string, job uint64) (keeps bool) {
	old := path.Join(path.Dir(item.Path), before)
	orphan := instance == w.request.Instance && w.request.Orphan != nil && w.request.Orphan(instance, job, 1<<30)
	if item.Local.Knowledge == plan.Seen && item.Local.Entry.Kind == entry.File && orphan {
		w.note(item, plan.Note{Path: item.Path, Conflict: true, Text: fmt.Sprintf("left behind here when it was about to go after its upload: rename it to %q, and it is sent again", old)})
	}
	if item.Remote.Knowledge == plan.Seen && item.Remote.Entry.Kind == entry.File {
		switch {
		case instance != w.request.Instance:
			w.note(item, plan.Note{Path: item.Path, Text: fmt.Sprintf("claimed by another agent (%s), which is downloading it; if that one is gone for good, rename it to %q on the server", instance, old)})
		case orphan:
			w.note(item, plan.Note{Path: item.Path, Conflict: true, Text: fmt.Sprintf("claimed by a download that is no more: rename it to %q on the server, and it is downloaded again", old)})
		}
	}
	return w.target(item).Entry.Kind != entry.Absent
}
