package state

// Stage keeps an operation of a scan that may not become a job before the whole scan has passed the guard, after those of the
// same job that were staged before.
func Stage(tx *Tx, sync string, job uint64, operation []byte) error {
	panic("skeleton")
}

// TakeStaged removes up to limit operations of a job, in the order in which they were staged, and returns copies of them.
// more says whether others are left.
func TakeStaged(tx *Tx, sync string, job uint64, limit int) (operations [][]byte, more bool, err error) {
	panic("skeleton")
}

// CountStaged returns how many operations of a job are staged, without counting.
func CountStaged(tx *Tx, sync string, job uint64) (int, error) {
	panic("skeleton")
}

// DropStaged removes all operations that a job has staged.
func DropStaged(tx *Tx, sync string, job uint64) error {
	panic("skeleton")
}

// DropStagedExcept removes the operations of all jobs of a sync ("": of all syncs) that keep does not ask for.
func DropStagedExcept(tx *Tx, sync string, keep func(job uint64) bool) error {
	panic("skeleton")
}
