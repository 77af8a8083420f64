package queue

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/state"
	"github.com/google/go-cmp/cmp"
)

func TestLifeOfJobs(t *testing.T) {
	for _, test := range []struct{ name, script string }{
		{"a job is claimed once and is gone when it is complete", `
			enqueue up web a  => added 1
			claim acme 9      => 1
			claim acme 9      =>
			show 1            => running claims=1
			complete 1        =>
			show 1            => nothing
			enqueue up web a  => added 2`},
		{"kind, sync and path together make a job unique", `
			enqueue up web a    => added 1
			enqueue up web b    => added 2
			enqueue up other a  => added 3
			enqueue down web a  => added 4
			enqueue up web a    => merged 1`},
		{"merging keeps the earliest time and the lowest priority and takes the newest reason", `
			enqueue up web a in=5s priority=3 why=old  => added 1
			enqueue up web a in=9s priority=5 why=new  => merged 1
			show 1                                     => waiting at=5s priority=3 why=new
			enqueue up web a in=2s priority=1          => merged 1
			show 1                                     => waiting at=2s priority=1
			enqueue up web a priority=9                => merged 1
			show 1                                     => due priority=1`},
		{"a job that goes behind another one keeps its number, under which people know it", `
			enqueue delete web d   priority=200  => added 1
			enqueue delete web e   priority=200  => added 2
			enqueue delete web d/f priority=200  => added 3
			claim acme 1                         => 1
			fail 1 behind=3                      => due
			claim acme 9                         => 2 3 1
			fail 2 behind=1                      => due
			fail 3 behind=2 retry=5s             => waiting
			fail 1 behind=2                      => due
			wait 6s
			claim acme 9                         => 2 3 1
			fail 3 behind=3                      => due
			fail 2 dead behind=3                 => dead
			fail 1 behind=3                      => due
			claim acme 9                         => 3 1
			fail 1                               => due
			drop 1                               =>
			retry 2                              =>
			claim acme 9                         => 2`},
		{"there is a last place", `
			enqueue delete web a priority=255  => added 1
			enqueue delete web b priority=255  => added 2
			claim acme 1                       => 1
			fail 1 behind=2                    => due
			claim acme 9                       => 1 2`},
		{"what is due stays due when the new time is later", `
			enqueue up web a        => added 1
			enqueue up web a in=9s  => merged 1
			show 1                  => due`},
		{"what is due stays due when the clock is set back", `
			enqueue up web a        => added 1
			wait -1h
			enqueue up web a in=2h  => merged 1
			show 1                  => due`},
		{"merging follows a change of server", `
			enqueue up web a               => added 1
			enqueue up web a server=other  => merged 1
			claim acme 9                   =>
			claim other 9                  => 1`},
		{"waiting jobs become due at their very instant", `
			enqueue up web a in=5s  => added 1
			next                    => 5s
			wait 4999ms
			claim acme 9            =>
			show 1                  => waiting at=5s
			wait 1ms
			claim acme 0            =>
			show 1                  => due at=5s
			next                    => never
			claim acme 9            => 1`},
		{"an edit during its own upload starts the job over under a new number", `
			enqueue up web a why=first    => added 1
			claim acme 9 temp=.a.1        => 1
			enqueue up web a why=second   => rerun 1
			enqueue up web a why=third    => rerun 1
			claim acme 9                  =>
			complete 1                    => rerun
			show 2                        => due why=third
			claim acme 9                  => 2
			complete 2                    =>`},
		{"a rerun waits until it has settled", `
			enqueue up web a        => added 1
			claim acme 9            => 1
			enqueue up web a in=5s  => rerun 1
			complete 1              => rerun
			show 2                  => waiting at=5s`},
		{"a failure is tried again at its time and counted", `
			enqueue up web a            => added 1
			claim acme 9 temp=.a.1      => 1
			fail 1 retry=10s why=530    => waiting
			show 1                      => waiting at=10s attempts=1 claims=1 error=530 temp=.a.1
			summary web                 => due 0 waiting 1 running 0 dead 0 retrying 1 next 10s
			wait 10s
			claim acme 9                => 1
			fail 1 uncounted retry=20s  => waiting
			show 1                      => waiting at=30s attempts=1 claims=2 error=no_reason_given temp=.a.1`},
		{"a failure without a time is due at once", `
			enqueue up web a  => added 1
			claim acme 9      => 1
			fail 1            => due
			claim acme 9      => 1`},
		{"a new reason brings a retry forward", `
			enqueue up web a     => added 1
			claim acme 9         => 1
			fail 1 retry=10m     => waiting
			enqueue up web a     => merged 1
			claim acme 9         => 1
			show 1               => running attempts=1 claims=2 error=no_reason_given`},
		{"a dead job stays dead until it is enqueued anew, and then starts afresh", `
			enqueue up web a       => added 1
			claim acme 9 temp=.t   => 1
			fail 1 dead why=553    => dead
			claim acme 9           =>
			show 1                 => dead attempts=1 claims=1 error=553 temp=.t
			enqueue up web a       => revived 1
			show 1                 => due claims=1 temp=.t`},
		{"a failed job takes over what was asked for meanwhile, and waits for both times", `
			enqueue up web a why=old        => added 1
			claim acme 9                    => 1
			enqueue up web a why=new in=5s  => rerun 1
			fail 1 retry=3s                 => waiting
			show 1                          => waiting at=5s attempts=1 claims=1 error=no_reason_given why=new
			wait 5s
			claim acme 9                    => 1
			enqueue up web a why=newer      => rerun 1
			fail 1 retry=9s                 => waiting
			show 1                          => waiting at=14s attempts=2 claims=2 error=no_reason_given why=newer`},
		{"what was asked for meanwhile revives what would be dead", `
			enqueue up web a why=old  => added 1
			claim acme 9              => 1
			enqueue up web a why=new  => rerun 1
			fail 1 dead               => due
			show 1                    => due claims=1 why=new`},
		{"the third crash in a row makes a job dead", `
			enqueue up web a        => added 1
			enqueue up web b in=1h  => added 2
			claim acme 9            => 1
			recover                 => requeued [1] dead []
			claim acme 9            => 1
			recover                 => requeued [1] dead []
			show 1                  => due claims=2 crashes=2
			claim acme 9            => 1
			recover                 => requeued [] dead [1]
			show 1                  => dead claims=3 crashes=3 error=was_running_in_3_crashes_of_the_agent
			recover                 => requeued [] dead []`},
		{"what was running in a crash is handed out one by one, so that nothing else is taken for what takes the agent down", `
			enqueue up web a  => added 1
			enqueue up web b  => added 2
			claim acme 9      => 1 2
			recover           => requeued [1 2] dead []
			enqueue up web c  => added 3
			enqueue up web d  => added 4
			claim acme 9      => 1
			claim acme 9      => 2
			claim acme 9      => 3 4`},
		{"a job that came back is not blamed for earlier crashes", `
			enqueue up web a    => added 1
			claim acme 9        => 1
			recover             => requeued [1] dead []
			claim acme 9        => 1
			recover             => requeued [1] dead []
			claim acme 9        => 1
			fail 1              => due
			claim acme 9        => 1
			recover             => requeued [1] dead []
			show 1              => due attempts=1 claims=4 crashes=1 error=no_reason_given`},
		{"an orphan takes over what was asked for before the crash", `
			enqueue up web a why=old        => added 1
			claim acme 9 temp=.t            => 1
			enqueue up web a why=new in=5s  => rerun 1
			recover                         => requeued [1] dead []
			show 1                          => waiting at=5s claims=1 crashes=1 temp=.t why=new`},
		{"an orphan is due even if the clock was set back", `
			enqueue up web a  => added 1
			claim acme 9      => 1
			wait -1h
			recover           => requeued [1] dead []
			show 1            => due claims=1 crashes=1`},
		{"retry makes dead and waiting jobs due and leaves due ones alone", `
			enqueue up web a        => added 1
			claim acme 9            => 1
			fail 1 dead             => dead
			enqueue up web b in=1h  => added 2
			wait 1s
			retry 1                 =>
			retry 2                 =>
			retry 1                 =>
			show 1                  => due at=1s claims=1
			show 2                  => due at=1s
			claim acme 9            => 1 2
			retry 1                 => error: retry job 1: not possible now: it is running
			retry 7                 => error: retry job 7: no such job`},
		{"drop takes all but running jobs", `
			enqueue up web a  => added 1
			drop 1            =>
			show 1            => nothing
			enqueue up web a  => added 2
			claim acme 9      => 2
			drop 2            => error: drop job 2: not possible now: it is running
			fail 2 dead       => dead
			drop 2            =>
			drop 2            => error: no such job`},
		{"a sync can be dropped, but for what is running", `
			enqueue up web a        => added 1
			claim acme 9            => 1
			enqueue up web a        => rerun 1
			enqueue up web b        => added 2
			enqueue up web c in=5s  => added 3
			enqueue up web2 a       => added 4
			dropsync web            => 2
			list                    => 1 4
			complete 1              =>
			list                    => 4
			summary web             => due 0 waiting 0 running 0 dead 0 retrying 0`},
		{"outcomes are for running jobs only", `
			enqueue up web a  => added 1
			complete 1        => error: complete job 1: not possible now: it is due, not running
			fail 1            => error: fail job 1: not possible now: it is due, not running
			complete 5        => error: complete job 5: no such job`},
	} {
		t.Run(test.name, func(t *testing.T) { runScript(t, openNew(t), test.script) })
	}
}

func TestOrderOfClaims(t *testing.T) {
	for _, test := range []struct{ name, script string }{
		{"a lower priority number goes first, then the lower job number", `
			enqueue up web a priority=12  => added 1
			enqueue up web b priority=11  => added 2
			enqueue up web c priority=11  => added 3
			enqueue up web d priority=12  => added 4
			enqueue up x e server=other   => added 5
			claim acme 3                  => 2 3 1
			claim acme 3                  => 4
			claim other 3                 => 5`},
		{"servers whose names begin alike do not mix", `
			enqueue up web a server=ac  => added 1
			enqueue up web b            => added 2
			claim a 9                   =>
			claim ac 9                  => 1
			claim acme 9                => 2`},
		{"a sync on hold keeps its jobs and does not stop others", `
			enqueue up web a          => added 1
			enqueue rm web b serial   => added 2
			enqueue up docs c         => added 3
			claim acme 9 hold=web     => 3
			claim acme 9 hold=web     =>
			claim acme 9              => 1`},
		{"serial jobs go last, all in one call, in order", `
			enqueue rm web dir/file serial           => added 1
			enqueue rm web dir serial priority=1     => added 2
			enqueue rm web first serial              => added 3
			enqueue up web a priority=9              => added 4
			claim acme 9                             => 4
			claim acme 9                             =>
			complete 4                               =>
			claim acme 9                             => 1 3 2
			claim acme 9                             =>`},
		{"serial jobs wait while one of them is running, also within the limit", `
			enqueue rm web a serial  => added 1
			enqueue rm web b serial  => added 2
			claim acme 1             => 1
			claim acme 1             =>
			complete 1               =>
			claim acme 1             => 2`},
		{"serial jobs do not wait for waiting ones", `
			enqueue rm web a serial  => added 1
			enqueue up web b in=1h   => added 2
			claim acme 9             => 1`},
		{"serial jobs of one sync do not wait for another sync", `
			enqueue rm web a serial        => added 1
			enqueue up docs b priority=99  => added 2
			claim acme 9                   => 1
			claim acme 9                   => 2`},
		{"other jobs may start beside a serial one", `
			enqueue rm web a serial  => added 1
			claim acme 9             => 1
			enqueue up web b         => added 2
			claim acme 9             => 2`},
		{"one call never mixes serial jobs with others or of two syncs", `
			enqueue rm web a serial            => added 1
			enqueue rm docs b serial           => added 2
			enqueue up blog c                  => added 3
			claim acme 9                       => 1
			claim acme 9                       => 2
			claim acme 9                       => 3`},
		{"serial jobs wait for jobs of their sync on another server", `
			enqueue up web a server=other  => added 1
			enqueue rm web b serial        => added 2
			claim acme 9                   =>
			claim other 9                  => 1
			claim acme 9                   =>
			complete 1                     =>
			claim acme 9                   => 2`},
	} {
		t.Run(test.name, func(t *testing.T) { runScript(t, openNew(t), test.script) })
	}
}

func TestSummaryAndList(t *testing.T) {
	runScript(t, openNew(t), `
		enqueue up web a                  => added 1
		enqueue up web b                  => added 2
		enqueue rm web c serial           => added 3
		enqueue up web d in=9s            => added 4
		enqueue up web e in=5s            => added 5
		enqueue up docs f in=7s           => added 6
		enqueue up docs g server=other    => added 7
		claim acme 2                      => 1 2
		fail 1 dead                       => dead
		wait 1s
		summary web                       => due 1 waiting 2 running 1 dead 1 retrying 0 next 5s
		summary docs                      => due 1 waiting 1 running 0 dead 0 retrying 0 next 7s
		summary none                      => due 0 waiting 0 running 0 dead 0 retrying 0
		summary                           => due 2 waiting 3 running 1 dead 1 retrying 0 next 5s
		next                              => 5s
		list                              => 1 2 3 4 5 6 7
		list state=waiting                => 5 6 4
		list state=waiting limit=2        => 5 6
		list state=waiting sync=web       => 5 4
		list state=due                    => 3 7
		list state=due server=other       => 7
		list state=running                => 2
		list state=dead                   => 1
		list sync=docs                    => 7 6
		list kind=rm                      => 3
		list sync=web kind=rm state=dead  =>
	`)
}

func TestJobsComeBackAsTheyWere(t *testing.T) {
	db := openNew(t)
	long := strings.Repeat("folder/", 600)
	for _, path := range []string{"", "plain", "latin \xfc", "nul \x00", long + "a", long + "b"} {
		wanted := New{
			Kind: "up", Sync: "web", Server: "acme", Path: path, Priority: 3, RunAt: start,
			Why: "because", Payload: []byte("\x01 no JSON"),
		}
		update(t, db, func(tx *state.Tx) error {
			done, err := Enqueue(tx, start, wanted)
			if len(done.Added) != 1 {
				t.Errorf("%.20q: %+v", path, done)
			}
			return err
		})
		update(t, db, func(tx *state.Tx) error {
			jobs, err := Claim(tx, start.Add(time.Second), Request{Server: "acme", Limit: 9, Prepare: func(job *Job) {
				job.Temp = ".\xfftemp"
			}})
			if err != nil || len(jobs) != 1 {
				t.Fatalf("%.20q: claimed %v, %v", path, jobs, err)
			}
			_, err = Enqueue(tx, start, wanted)
			return err
		})
		want := Job{
			New: wanted, State: Running, Claims: 1, Temp: ".\xfftemp",
			Enqueued: start, Started: start.Add(time.Second), Next: &wanted,
		}
		update(t, db, func(tx *state.Tx) error {
			got, ok, err := Lookup(tx, "up", "web", path)
			want.ID = got.ID
			if diff := cmp.Diff(want, got); diff != "" || !ok || err != nil {
				t.Errorf("%.20q: %v, %v\n%s", path, ok, err, diff)
			}
			if _, ok, err := Lookup(tx, "up", "web", path+"x"); ok || err != nil {
				t.Errorf("%.20q: found by another path: %v, %v", path, ok, err)
			}
			return Check(tx)
		})
	}
}

func TestEnqueueRefuses(t *testing.T) {
	db := openNew(t)
	for _, test := range []struct {
		name string
		job  New
		want string
	}{
		{"no kind", New{Sync: "web", Path: "a"}, `not a job: no kind (sync "web", path "a")`},
		{"a sync that is not UTF-8, which would be another one where it is shown", New{Kind: "up", Sync: "\xff", Path: "a"}, `is not UTF-8 (sync "\xff", path "a")`},
		{"a server that is not UTF-8", New{Kind: "up", Server: "\xff", Path: "a"}, `server "\xff"`},
	} {
		err := db.Update(func(tx *state.Tx) error { _, err := Enqueue(tx, start, test.job); return err })
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error = %v, want %q in it", test.name, err, test.want)
		}
	}
}

func TestDelay(t *testing.T) {
	for _, test := range []struct {
		name    string
		attempt int
		r       float64
		want    time.Duration
	}{
		{"the first failure waits up to a second", 1, 0.5, 500 * time.Millisecond},
		{"the second up to two", 2, 0.5, time.Second},
		{"the tenth up to 512", 10, 0.5, 256 * time.Second},
		{"then it is 15 minutes", 11, 0.5, 450 * time.Second},
		{"for ever", 1 << 40, 0.999999, MostDelay * 999999 / 1000000},
		{"a bad draw is still a delay", 7, 0, 250 * time.Millisecond},
		{"no failure yet counts as one", 0, 0.5, 500 * time.Millisecond},
		{"r beyond its range is cut", 1, 7, time.Second},
		{"on both sides", 1, -7, 250 * time.Millisecond},
	} {
		if got := Delay(test.attempt, test.r); (got - test.want).Abs() > time.Microsecond {
			t.Errorf("%s: Delay(%d, %v) = %v, want %v", test.name, test.attempt, test.r, got, test.want)
		}
	}
}

func TestCheckFindsDifferences(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(tx *state.Tx) error
		want  string
	}{
		{"a missing entry", func(tx *state.Tx) error {
			return tx.Table(tableRunning).Delete(idKey(1))
		}, `queue/running: "\x00\x00\x00\x00\x00\x00\x00\x01" is missing`},
		{"an entry too many", func(tx *state.Tx) error {
			return tx.Table(tableWait).Put(state.Key(start, uint64(1)), nil)
		}, "queue/wait:"},
		{"a wrong value", func(tx *state.Tx) error {
			return tx.Table(tableUnique).Put(uniqueKey("up", "web", "a"), idKey(2))
		}, `queue/unique: "up\x00web\x00a" is`},
		{"a wrong number", func(tx *state.Tx) error {
			return tx.Table(tableCounts).Put(state.Key("web", ""), tally{7}.encode())
		}, "queue/counts:"},
		{"a row that is gone", func(tx *state.Tx) error {
			return tx.Table(tableJobs).Delete(idKey(1))
		}, "should not be there"},
		{"a row that is unreadable", func(tx *state.Tx) error {
			return tx.Table(tableJobs).Put(idKey(1), []byte("{"))
		}, `table "queue/jobs"`},
		{"two rows of one path", func(tx *state.Tx) error {
			return writeJob(tx, &Job{ID: 9, New: New{Kind: "up", Sync: "web", Path: "a"}, State: Due})
		}, "both belong"},
	} {
		t.Run(test.name, func(t *testing.T) {
			db := openNew(t)
			runScript(t, db, "enqueue up web a => added 1\nclaim acme 9 => 1")
			err := db.Update(func(tx *state.Tx) error {
				if err := test.spoil(tx); err != nil {
					t.Fatal(err)
				}
				return Check(tx)
			})
			if !errors.Is(err, ErrIndex) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Check = %v, want %q", err, test.want)
			}
		})
	}
}
