package scan

import (
	"fmt"

	"github.com/ftpferry/ftpferry/agent/plan"
)

// judge is plan.Decide, which is told whether the server offers hashes. Only of what it wants compared is it found out whether
// that has happened.
func (w *walker) judge(item plan.Item) (plan.Decision, error) {
	if w.request.Remote != nil && w.request.Remote.Hashes {
		item.Contents = plan.Comparable
	}
	d := plan.Decide(w.request.Rules, item)
	if d.Op == nil || d.Op.Action != plan.Compare || w.request.Different == nil {
		return d, nil
	}
	different, err := w.request.Different(item.Path, item.Local.Entry, item.Remote.Entry)
	if err != nil {
		return d, fmt.Errorf("read notes: %w", err)
	}
	if !different {
		return d, nil
	}
	item.Contents = plan.Different
	return plan.Decide(w.request.Rules, item), nil
}
