package agent_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/alert"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
)

// TestAnAgentThatWasCutOffIsTold by the next one, as it could not say so itself; at once if that happens again and again.
func TestAnAgentThatWasCutOffIsTold(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), "up")
	box := newMailbox(t)
	r.alertsTo(box, `on = ["full"]`)
	var memory struct{ Working, CutTold string }
	remembered := func() {
		memory.Working, memory.CutTold = "", ""
		r.update(func(tx *state.Tx) error {
			data, err := state.GetAlertMemory(tx)
			if err == nil {
				var is struct {
					Working string `json:"working"`
					CutTold string `json:"cut_told"`
				}
				err = json.Unmarshal(data, &is)
				memory.Working, memory.CutTold = is.Working, is.CutTold
			}
			return err
		})
	}
	told := 0
	for i, was := range []string{
		``, // the first one
		`,"working":"2026-01-02T03:04:05Z"`,
		fmt.Sprintf(`,"working":"2026-01-02T03:04:05Z","cut":[%[1]q,%[1]q]`, time.Now().Add(-time.Minute).Format(time.RFC3339)),
	} {
		r.update(func(tx *state.Tx) error { return state.PutAlertMemory(tx, []byte(`{"told":{}`+was+`}`)) })
		r.with(withAlerts, func(*agent.Agent) {
			if i > 0 {
				told++
				eventually(t, "a notice", func() bool { return len(box.all(alert.Stopped)) == told })
			}
		})
		remembered()
		if memory.Working != "" || (memory.CutTold != "") != (i == 2) {
			t.Errorf("%d: remembered %+v", i, memory)
		}
	}
	r.with(withAlerts, func(*agent.Agent) {})
	if all := box.all(alert.Stopped); len(all) != told {
		t.Errorf("after an end in good order: %q", all)
	}
}
