package state

import "golang.org/x/sys/unix"

// forgetPages takes a range of a shared memory map out of the memory of the process. It is advice: when it is not
// followed, the process is larger and all else the same.
func forgetPages(address, length uintptr) {
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, address, length, unix.MADV_DONTNEED)
}
