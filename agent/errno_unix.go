//go:build unix

package agent

import (
	"syscall"

	"github.com/ftpferry/ftpferry/ftpclient"
)

// localClasses are the errors of this machine that need more than another try.
var localClasses = []struct {
	errno syscall.Errno
	class ftpclient.Class
}{
	{syscall.ENOSPC, ftpclient.ClassLater},
	{syscall.EDQUOT, ftpclient.ClassLater},
	{syscall.EROFS, ftpclient.ClassLater}, // nothing goes to that disk until somebody has mended it
	{syscall.ENAMETOOLONG, ftpclient.ClassPermanent},
	{syscall.EINVAL, ftpclient.ClassPermanent}, // a colon in a name, on the file systems of Windows
	{syscall.EILSEQ, ftpclient.ClassPermanent}, // a name that is not UTF-8, where it must be
	{syscall.EFBIG, ftpclient.ClassPermanent},  // 4 GiB on FAT
	{syscall.ELOOP, ftpclient.ClassPermanent},
	{syscall.EISDIR, ftpclient.ClassPermanent},
}
