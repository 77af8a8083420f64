package agent

import (
	"syscall"

	"golang.org/x/sys/windows"

	"github.com/ftpferry/ftpferry/ftpclient"
)

// localClasses are the errors of this machine that need more than another try.
var localClasses = []struct {
	errno syscall.Errno
	class ftpclient.Class
}{
	{windows.ERROR_DISK_FULL, ftpclient.ClassLater},
	{windows.ERROR_HANDLE_DISK_FULL, ftpclient.ClassLater},
	{windows.ERROR_DISK_QUOTA_EXCEEDED, ftpclient.ClassLater},
	{windows.ERROR_WRITE_PROTECT, ftpclient.ClassLater}, // nothing goes to that disk until somebody has mended it
	{windows.ERROR_INVALID_NAME, ftpclient.ClassPermanent},
	{windows.ERROR_FILENAME_EXCED_RANGE, ftpclient.ClassPermanent},
	{windows.ERROR_BUFFER_OVERFLOW, ftpclient.ClassPermanent}, // "The file name is too long."
	{windows.ERROR_DIRECTORY, ftpclient.ClassPermanent},
	{windows.ERROR_FILE_TOO_LARGE, ftpclient.ClassPermanent},
}
