package agent_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestTwoFirstPassesAtATime: the second one finds the target empty, and before it is at its end the jobs of the first one have
// filled it. Nobody has emptied it.
func TestTwoFirstPassesAtATime(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"proftpd", "pyftpdlib"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, name, ftptest.RealOptions{}), "up")
			fill(t, r.local, many(3)) // and there are four connections
			var second atomic.Bool
			sending, listed, arrived := make(chan struct{}), make(chan struct{}), make(chan struct{})
			sent, seen, done := sync.OnceFunc(func() { close(sending) }), sync.OnceFunc(func() { close(listed) }), sync.OnceFunc(func() { close(arrived) })
			await := func(what <-chan struct{}) {
				select {
				case <-what:
				case <-time.After(patience):
					t.Error("waited in vain")
				}
			}
			setOption(t, r, r.server.Addr, ftptest.Relay(t, r.server.Addr, func() ftptest.Ears {
				var stores atomic.Bool
				return ftptest.Ears{
					Command: func(line string) (string, bool) {
						if strings.HasPrefix(line, "STOR ") {
							stores.Store(true)
							sent()
							await(listed)
						}
						return "", true
					},
					Reply: func(line string) bool {
						if second.Load() && !stores.Load() && strings.HasPrefix(line, "226") {
							seen()
							await(arrived)
						}
						return true
					},
				}
			}))
			uploads := 0
			observe := func(a agent.Activity) {
				if a.Kind == agent.ActivityDone && a.Action == "upload" {
					if uploads++; uploads == 2 {
						done()
					}
				}
			}
			r.with(agent.Options{Observe: observe}, func(a *agent.Agent) {
				pass := func() {
					report, err := a.FullPass(t.Context(), nil)
					if err != nil || report.ExitCode() != control.ExitDone {
						t.Errorf("%+v, %v", report, err)
					}
				}
				var first sync.WaitGroup
				defer first.Wait()
				first.Go(func() { pass() })
				await(sending)
				second.Store(true)
				pass()
			})
			r.mustBeInStep("afterwards")
		})
	}
}
