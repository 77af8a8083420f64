package queue

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ftpferry/ftpferry/state"
)

func TestProgress(t *testing.T) {
	for _, test := range []struct{ name, script string }{
		{"a job that yields goes on later with its progress", `
			enqueue scan web top     => added 1
			claim acme 9             => 1
			save 1 {"at":"b"}        =>
			yield 1 in=10s           =>
			show 1                   => waiting at=10s claims=1 progress={"at":"b"}
			claim acme 9             =>
			next                     => 10s
			wait 10s
			claim acme 9             => 1
			show 1                   => running at=10s claims=2 progress={"at":"b"}
			complete 1               =>
			enqueue scan web top     => added 2
			show 2                   => due at=10s`},
		{"retry goes on before the time", `
			enqueue scan web top  => added 1
			claim acme 9          => 1
			save 1 {}             =>
			yield 1 in=10s        =>
			retry 1               =>
			show 1                => due claims=1 progress={}`},
		{"to yield is no failure, and ends the count of failures", `
			enqueue scan web top         => added 1
			claim acme 9                 => 1
			fail 1 why=421 reply=bye     => due
			show 1                       => due attempts=1 claims=1 error=421 reply=bye
			claim acme 9                 => 1
			yield 1 in=1s                =>
			show 1                       => waiting at=1s claims=2
			summary                      => due 0 waiting 1 running 0 dead 0 retrying 0 next 1s`},
		{"progress outlives failures and crashes", `
			enqueue scan web top  => added 1
			claim acme 9          => 1
			save 1 [7]            =>
			recover               => requeued [1] dead []
			claim acme 9          => 1
			fail 1 retry=5s       => waiting
			show 1                => waiting at=5s attempts=1 claims=2 error=no_reason_given progress=[7]`},
		{"no progress is none", `
			enqueue scan web top  => added 1
			claim acme 9          => 1
			save 1 [ 7 ]          =>
			show 1                => running claims=1 progress=[7]
			save 1 null           =>
			show 1                => running claims=1
			save 1                =>
			show 1                => running claims=1
			save 1 [              => error: save the progress of job 1`},
		{"a request in the middle leads to a whole run afterwards, and lets the first go on sooner", `
			enqueue scan web top why=schedule priority=80     => added 1
			claim acme 9                                      => 1
			save 1 [7]                                        =>
			yield 1 in=10s                                    =>
			enqueue scan web top why=request priority=1 in=3s => merged 1
			show 1     => waiting at=3s claims=1 next=request priority=1 progress=[7] why=schedule
			enqueue scan web top why=later priority=80 in=9s  => merged 1
			show 1     => waiting at=3s claims=1 next=later priority=1 progress=[7] why=schedule
			wait 3s
			claim acme 9                                      => 1
			complete 1                                        => rerun
			show 2                                            => due at=3s priority=1 why=later`},
		{"so does one that comes while it is running", `
			enqueue scan web top why=schedule priority=80  => added 1
			claim acme 9                                   => 1
			enqueue scan web top why=request priority=1    => rerun 1
			enqueue scan web top why=later priority=80     => rerun 1
			save 1 [7]                                     =>
			yield 1 in=10s                                 =>
			show 1     => waiting at=10s claims=1 next=later priority=1 progress=[7] why=schedule
			retry 1                                        =>
			claim acme 9                                   => 1
			fail 1 retry=7s                                => waiting
			show 1     => waiting at=7s attempts=1 claims=2 error=no_reason_given next=later priority=1 progress=[7] why=schedule
			retry 1                                        =>
			claim acme 9                                   => 1
			recover                                        => requeued [1] dead []
			show 1     => due claims=3 crashes=1 next=later priority=1 progress=[7] why=schedule
			claim acme 9                                   => 1
			complete 1                                     => rerun
			show 2                                         => due priority=1 why=later`},
		{"a job that has yielded without progress does what was asked for meanwhile", `
			enqueue scan web top why=old  => added 1
			claim acme 9                  => 1
			enqueue scan web top why=new  => rerun 1
			yield 1 in=1s                 =>
			show 1                        => waiting at=1s claims=1 why=new`},
		{"death ends the progress: a later event starts from the beginning", `
			enqueue scan web top          => added 1
			claim acme 9                  => 1
			save 1 [7]                    =>
			fail 1 dead why=550           => dead
			show 1                        => dead attempts=1 claims=1 error=550 progress=[7]
			enqueue scan web top why=new  => revived 1
			show 1                        => due claims=1 why=new`},
		{"so does a person", `
			enqueue scan web top  => added 1
			claim acme 9          => 1
			save 1 [7]            =>
			fail 1 dead           => dead
			retry 1               =>
			show 1                => due claims=1`},
		{"and what was asked for during the run that failed for good", `
			enqueue scan web top why=old  => added 1
			claim acme 9                  => 1
			save 1 [7]                    =>
			enqueue scan web top why=new  => rerun 1
			fail 1 dead                   => due
			show 1                        => due claims=1 why=new`},
		{"three crashes without a step between park a job, with what was asked for last", `
			enqueue scan web top why=old  => added 1
			claim acme 9                  => 1
			save 1 [7]                    =>
			enqueue scan web top why=new  => rerun 1
			recover                       => requeued [1] dead []
			claim acme 9                  => 1
			save 1 [7]                    =>
			recover                       => requeued [1] dead []
			claim acme 9                  => 1
			recover                       => requeued [] dead [1]
			show 1                        => dead claims=3 crashes=3 error=was_running_in_3_crashes_of_the_agent why=new`},
		{"a job that comes further between crashes is not to blame for them", `
			enqueue scan web top  => added 1
			claim acme 9          => 1
			recover               => requeued [1] dead []
			claim acme 9          => 1
			save 1 [7]            =>
			recover               => requeued [1] dead []
			claim acme 9          => 1
			save 1 [8]            =>
			recover               => requeued [1] dead []
			show 1                => due claims=3 crashes=1 progress=[8]`},
		{"progress at another server is worth nothing", `
			enqueue scan web top why=old               => added 1
			claim acme 9                               => 1
			save 1 [7]                                 =>
			yield 1 in=1h                              =>
			enqueue scan web top why=asked             => merged 1
			enqueue scan web top why=new server=other  => merged 1
			show 1                                     => due claims=1 why=new
			claim other 9                              => 1
			save 1 [9]                                 =>
			enqueue scan web top why=back              => rerun 1
			fail 1                                     => due
			show 1                                     => due attempts=1 claims=2 error=no_reason_given why=back
			claim acme 9                               => 1`},
		{"only running jobs save and yield", `
			enqueue scan web top  => added 1
			save 1 [7]            => error: save the progress of job 1: not possible now: it is due, not running
			yield 1 in=1s         => error: yield job 1: not possible now
			save 2 [7]            => error: no such job
			yield 2 in=1s         => error: no such job`},
	} {
		t.Run(test.name, func(t *testing.T) { runScript(t, openNew(t), test.script) })
	}
}

func TestLongTextsOfAServerAreCut(t *testing.T) {
	db := openNew(t)
	runScript(t, db, "enqueue up web a => added 1\nclaim acme 9 => 1")
	update(t, db, func(tx *state.Tx) error {
		f := Failure{Reason: strings.Repeat("x", mostText-1) + "é", Reply: "550 \xff" + strings.Repeat("y", 1<<20)}
		if _, err := Fail(tx, start, 1, f); err != nil {
			return err
		}
		job, _, err := Get(tx, 1)
		if want := strings.Repeat("x", mostText-1) + "\ufffd"; job.LastError != want {
			t.Errorf("LastError = %q", job.LastError)
		}
		if want := "550 \ufffd" + strings.Repeat("y", mostText-5); job.LastReply != want {
			t.Errorf("LastReply has %d bytes: %.20q", len(job.LastReply), job.LastReply)
		}
		if !utf8.ValidString(job.LastReply) {
			t.Errorf("LastReply ends in the middle of a letter")
		}
		return err
	})
}
