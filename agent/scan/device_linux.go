package scan

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ftpferry/ftpferry/state"
)

func deviceOfHandle(handle uintptr) (device state.Device) {
	var stat unix.Stat_t
	if unix.Fstat(int(handle), &stat) == nil {
		device.Number = uint64(stat.Dev)
	}
	var fs unix.Statfs_t
	if unix.Fstatfs(int(handle), &fs) == nil && fs.Fsid != (unix.Fsid{}) {
		device.ID = fmt.Sprintf("%08x%08x", uint32(fs.Fsid.Val[0]), uint32(fs.Fsid.Val[1]))
	}
	if mount, err := mountOf(handle); err == nil {
		device.Mount = mount
	}
	return device
}

// mountOf returns what is mounted where an open file is: its source and type.
func mountOf(handle uintptr) (string, error) {
	info, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(int(handle)))
	if err != nil {
		return "", err
	}
	_, rest, _ := bytes.Cut(info, []byte("mnt_id:"))
	id, _, _ := strings.Cut(strings.TrimSpace(string(rest)), "\n")
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || id == "" {
		return "", err
	}
	return findMount(string(mounts), id), nil
}

// findMount reads lines such as "36 35 98:0 /root /mnt rw,noatime shared:1 - ext3 /dev/sda1 rw" (proc_pid_mountinfo(5)).
func findMount(mounts, id string) string {
	for line := range strings.Lines(mounts) {
		if !strings.HasPrefix(line, id+" ") {
			continue
		}
		_, rest, _ := strings.Cut(line, " - ")
		if fields := strings.Fields(rest); len(fields) >= 2 {
			return fields[1] + " " + fields[0]
		}
	}
	return ""
}
