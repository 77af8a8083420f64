package trigger

import (
	"io/fs"

	"golang.org/x/sys/windows"
)

// remoteFilesystem returns what to call the volume of a folder if it is on another machine, where changes may go without events;
// "" if not or if nobody can tell.
func remoteFilesystem(path string) string {
	from, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return ""
	}
	volume := make([]uint16, windows.MAX_LONG_PATH)
	if err := windows.GetVolumePathName(from, &volume[0], uint32(len(volume))); err != nil {
		return ""
	}
	if windows.GetDriveType(&volume[0]) == windows.DRIVE_REMOTE {
		return "a network drive"
	}
	return ""
}

// deviceOf knows nothing here: a volume that is mounted in a folder is a link, which nobody follows.
func deviceOf(fs.FileInfo) uint64 { return 0 }
