// Package state is the one store of the agent: a single file with ordered tables, read and
// written in transactions.
//
// Everything that has to agree after a crash is in this file and changes in one [DB.Update]:
// the job queue (package queue keeps its tables here), what both sides looked like when they
// last agreed (baseline), what was noticed but not planned yet (dirty), what was learned about
// servers, the halts of syncs, the schedules and the history. All of it can be rebuilt: without
// the file the next full scan adopts what is equal on both sides and deletes nothing.
//
// No other package knows the engine. A transaction is not to be held across I/O on anything
// else, and a transaction started inside another one deadlocks.
package state
