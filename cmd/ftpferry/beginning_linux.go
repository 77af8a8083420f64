package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// forgetBeginning gives the pages of the program itself back to the system that nothing but the beginning of the process needs: the
// initialization of all packages, and what the system maps around each page that is wanted. That is 6 of 19 MB. What is needed
// again is still in the system's cache. It is advice: where it cannot be given, the process is larger and all else the same.
func forgetBeginning() {
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer maps.Close()
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	for _, m := range unchangedMaps(maps, program) {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED)
	}
}

// addresses are those of a mapping.
type addresses struct{ from, to uintptr }

// unchangedMaps finds in the form of /proc/PID/smaps the mappings of a file that nobody can write to and of which nothing differs
// from the file: only these come back as they were.
func unchangedMaps(smaps io.Reader, file string) (unchanged []addresses) {
	var at addresses
	ours := false
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) == 3 && fields[0] == "Anonymous:":
			if ours && fields[1] == "0" {
				unchanged = append(unchanged, at)
			}
			ours = false
		case len(fields) >= 5 && !strings.HasSuffix(fields[0], ":"):
			_, err := fmt.Sscanf(fields[0], "%x-%x", &at.from, &at.to)
			ours = err == nil && len(fields) == 6 && fields[5] == file && len(fields[1]) == 4 && fields[1][1] == '-' && fields[1][3] == 'p'
		}
	}
	return unchanged
}
