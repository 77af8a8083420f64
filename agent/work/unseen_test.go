package work

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state/entry"
)

// TestAnUnseenTargetIsNotReplacedIfItChanged: nobody could list its folder when the transfer was planned.
func TestAnUnseenTargetIsNotReplacedIfItChanged(t *testing.T) {
	final := "/site/a.txt"
	dir, local := source(t, "an edit")
	was := local.Entry
	was.Size, was.ModTime = 3, was.ModTime.Add(-time.Hour)
	remote := entry.Entry{Kind: entry.File, Size: 5, ModTime: stamped, Precision: time.Second}
	o := do(t, dir, plan.Op{
		Action: plan.Download, Path: "a.txt", Base: &plan.Base{Local: was, Remote: was},
		Local: plan.Side{Knowledge: plan.Assumed, Entry: was}, Remote: plan.Side{Knowledge: plan.Seen, Entry: remote},
	}, 1, nil, has(final, 5)...)
	if content, _ := os.ReadFile(filepath.Join(dir, "a.txt")); o.Result != Stale || string(content) != "an edit" {
		t.Errorf("outcome %v (%v), and the file holds %q", o.Result, o.Err, content)
	}
}
