package state

// Backup writes a consistent copy of the file, as it is now, to a new file at path (mode 0600), which is on disk when Backup
// returns nil. Writers may have to wait meanwhile: path should be on a local disk. It is an error that is fs.ErrExist if
// path exists.
func (db *DB) Backup(path string) error {
	panic("skeleton")
}
