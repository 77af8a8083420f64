package state

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// forgetPages takes a range of a shared memory map out of the memory of the process. It is advice: when it is not
// followed, the process is larger and all else the same.
func forgetPages(address, length uintptr) {
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, address, length, unix.MADV_DONTNEED)
}

// processSize returns how many bytes of memory the process has, files included, if the system tells: see proc_pid_statm(5).
func processSize() (size int64, known bool) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, false
	}
	numbers := bytes.Fields(text)
	if len(numbers) < 2 {
		return 0, false
	}
	pages, err := strconv.ParseInt(string(numbers[1]), 10, 64)
	return pages * int64(os.Getpagesize()), err == nil
}
