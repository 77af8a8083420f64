// Package queue keeps the jobs of the agent in the state file and moves them through their
// life. It has no transaction, no clock and no memory of its own: every function works in the
// caller's transaction, so that what a job brought about (baseline, history, new jobs) is
// committed together with its end.
//
//	Enqueue, RunAt later          Enqueue, RunAt has come
//	        |                                |
//	        v        time (in Claim)         v          Claim
//	     waiting -------------------------> due ---------------------> running
//	        ^                                ^                          | | |
//	        |                                +-- Recover after a crash -+ | |
//	        +------------------------- Fail, to be tried again -----------+ |
//	                                                                      | |
//	      dead <------------ Fail for good, or the third crash -----------+ |
//	        |                                                               |
//	        +--> due or waiting: Retry, or Enqueue of the same path         |
//	                                                                        |
//	      gone <--------------------------- Complete -----------------------+
//
// A job is unique by kind, sync and path. Enqueue of one that waits or is due merges into it. Of
// one that runs it sets Next, and the job starts over when it is done: an edit made during its
// own upload is not lost and does not run twice at a time.
//
// Claims need no leases. The lock of the state file proves that nobody else works on it, so
// after a start every running job is an orphan, and [Recover] takes it back.
//
// Only the rows of queue/jobs are the truth. The other tables are indexes that [Check] compares
// with them:
//
//	queue/jobs     id                                   the job as JSON
//	queue/wait     runAt id                             what becomes due next
//	queue/due      server 00 sync 00 serial priority id -> sync: order of claims, a lane per sync
//	queue/running  id                                   orphans after a crash
//	queue/dead     diedAt id                            newest last
//	queue/sync     sync 00 state time id                the jobs of one sync by state
//	queue/unique   kind 00 sync 00 path                 -> id
//	queue/counts   sync 00                              -> numbers by state
//	queue/poison   id                                   -> bytes of a row that was unreadable
package queue
