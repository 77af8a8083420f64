//go:build !linux

package ftptest

import "errors"

func probeTmpfs() error {
	return errors.New("only Linux mounts file systems of a given size; run the tests there")
}
