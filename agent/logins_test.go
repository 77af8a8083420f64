package agent

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
)

func TestWorthLogins(t *testing.T) {
	cheap := ftpclient.LoginCost{Login: 20 * time.Millisecond, Turn: time.Millisecond}
	dear := ftpclient.LoginCost{Login: time.Second, Turn: time.Millisecond}
	far := ftpclient.LoginCost{Login: 250 * time.Millisecond, Turn: 100 * time.Millisecond}
	tests := []struct {
		name      string
		due, open int
		cost      ftpclient.LoginCost
		quiet     time.Duration
		want      int
	}{
		{"nothing is known before the first login", 1000, 0, ftpclient.LoginCost{}, 0, 4},
		{"cheap logins do not count", 2, 1, cheap, 0, 4},
		{"on a long line a login takes some turns, and a file as many", 2, 1, far, 0, 4},
		{"few files are not worth a second", 100, 1, dear, 0, 1},
		{"some are worth one more", 500, 1, dear, 0, 2},
		{"many are worth all", 10_000, 1, dear, 0, 4},
		{"what is open is used", 3, 3, dear, 0, 3},
		{"the last one of many goes", 1, 1, dear, 0, 1},
		{"one that takes long holds up others", 3, 1, dear, 2 * time.Second, 2},
		{"and longer", 3, 1, dear, 5 * time.Second, 3},
		{"not more than there may be", 3, 1, dear, time.Hour, 4},
		{"a clock that was set back", 100, 1, dear, -time.Hour, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := worthLogins(test.due, test.open, 4, test.cost, test.quiet); got != test.want {
				t.Errorf("%d, want %d", got, test.want)
			}
		})
	}
}

// TestNobodyWaitsForALoginInVain: where fewer connections are enough, none more is looked for all the time.
func TestNobodyWaitsForALoginInVain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, func(queue.Job) work.Outcome { return done })
		b.before = func(d *dispatcher) {
			s, now := d.servers["acme"], time.Now()
			dear := ftpclient.LoginCost{Login: time.Second}
			if !s.maySpareLogins(now, dear) || s.maySpareLogins(now, ftpclient.LoginCost{}) {
				t.Error("it is dear logins that are put off")
			}
			s.concurrency = concurrency{fewer: 1, of: 4, proven: now}
			if s.maySpareLogins(now, dear) {
				t.Error("one more login is waited for, where fewer transfers are enough")
			}
		}
		b.run(func() {})
	})
}
