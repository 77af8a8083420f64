// Package queue keeps the jobs of the agent in the state file and moves them through their
// life. It has no transaction, no clock and no memory of its own: every function works in the
// caller's transaction, so that what a job brought about (baseline, history, new jobs) is
// committed together with its end.
//
//	Enqueue, RunAt later          Enqueue, RunAt has come
//	        |                                |
//	        v     time (in Claim), Retry     v          Claim
//	     waiting -------------------------> due ---------------------> running
//	        ^                                ^                          | | |
//	        |                                +-- Recover after a crash -+ | |
//	        +---------- Fail, to be tried again; Yield, to go on ---------+ |
//	                                                                      | |
//	      dead <------------ Fail for good, or the third crash -----------+ |
//	        |                                                               |
//	        +--> due or waiting: Retry, or Enqueue of the same path         |
//	                                                                        |
//	      done <--------------------------- Complete -----------------------+
//	      (the row is gone; the history has it)
//
// A job is unique by kind, sync and path. Enqueue of one that waits or is due merges into it: the
// earliest time, the highest priority and the newest values count. Of one that runs it sets Next,
// merged in the same way, and the job starts over when it is done: an edit made during its own
// upload is not lost and does not run twice at a time.
//
// A long job writes down its Progress (Save) and may pause in the middle (Yield). Failures and
// crashes do not end what it has begun. Until it is done it counts as running for Enqueue, so
// that a request in the middle leads to a whole run afterwards.
//
// Claim hands out the jobs of one server, of one sync per call. The syncs take turns, but for
// what a person asked for (Urgent). Within a sync jobs go by priority and number, serial ones
// (deletes) after all others.
//
// Claims need no leases. The lock of the state file proves that nobody else works on it, so
// after a start every running job is an orphan, and [Recover] takes it back. A job that was
// running in three crashes in a row, without getting any further in between, is dead.
//
// Only the rows of queue/jobs are the truth. The other tables are indexes that [Check] compares
// with them. Whoever meets a row that cannot be read, or an index that is wrong, makes them anew;
// in the place of such a row there is a dead job then, and [Poison] has its bytes.
//
//	queue/jobs     id                                   the job: see jobrow.go
//	queue/wait     runAt id                             what becomes due next
//	queue/due      server 00 sync 00 serial priority id -> sync: order of claims, a lane per sync
//	queue/running  id                                   orphans after a crash
//	queue/dead     diedAt id                            newest last
//	queue/sync     sync 00 state time id                the jobs of one sync by state
//	queue/unique   kind 00 sync 00 path                 -> id
//	queue/counts   sync 00                              -> numbers by state
//	queue/poison   id                                   -> bytes of a row that was unreadable
package queue
