package state

// Check examines the whole file: the pages of the engine, every row of every table of this package, and the
// numbers kept beside them. It calls problem for each thing that is wrong, with a text for people, and returns an error if it
// could not go on. It takes seconds for a large file; do it on a copy (Backup) rather than on the file of a working agent.
func (db *DB) Check(problem func(text string)) error {
	panic("skeleton")
}
