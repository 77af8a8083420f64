package agent_test

import (
	"testing"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestAServerThatTakesOneConnection is enough for four workers and for a plan while they have it.
func TestAServerThatTakesOneConnection(t *testing.T) {
	for _, server := range []string{"vsftpd", "proftpd", "pure-ftpd", "pyftpdlib"} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, server, ftptest.RealOptions{MaxClients: 1}), "up")
			fill(t, r.local, sampleTree)
			r.mustBeInStep("with one connection")
			r.with(agent.Options{}, func(a *agent.Agent) {
				fill(t, r.local, map[string]string{"one more.txt": "1"})
				if _, err := a.Pass(t.Context(), nil); err != nil {
					t.Error(err)
				}
				// The connection of the pass is kept for a while.
				plans, err := a.Plan(t.Context(), nil)
				if err != nil || len(plans) != 1 || plans[0].Failure != "" {
					t.Errorf("plan: %+v, %v", plans, err)
				}
			})
		})
	}
}

// TestAServerThatIsFull is unavailable, for a pass and for a plan: who has it will leave some day.
func TestAServerThatIsFull(t *testing.T) {
	for _, server := range []string{"vsftpd", "proftpd", "pure-ftpd", "pyftpdlib"} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			full := ftptest.Real(t, server, ftptest.RealOptions{MaxClients: 1})
			r := newRig(t, full, "up")
			fill(t, r.local, map[string]string{"a.txt": "a"})
			var guest *ftpclient.Conn
			eventually(t, "a guest gets in", func() bool {
				var err error
				guest, err = ftpclient.Dial(t.Context(), full.Addr, ftpclient.Options{User: full.User, Password: full.Password, TLS: ftpclient.TLSNone})
				return err == nil
			})
			defer guest.Close()
			if report := r.once(); report.Unavailable == "" {
				t.Errorf("pass: %+v", report)
			}
			r.with(agent.Options{}, func(a *agent.Agent) {
				plans, err := a.Plan(t.Context(), nil)
				if err != nil || control.PlanExitCode(plans) != control.ExitUnavailable {
					t.Errorf("plan: %+v, %v", plans, err)
				}
			})
			guest.Close()
			r.mustBeInStep("when the guest has left")
		})
	}
}
