package control

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// ways: sockets have no rights of their own here.
var ways = []way{loopback}

// ownersAlone lets in the owner, the system and the administrators, and inherits nothing from the folder.
const ownersAlone = "D:P(A;;FA;;;OW)(A;;FA;;;SY)(A;;FA;;;BA)"

// createPrivate makes a file that nobody else may read.
func createPrivate(path string) (*os.File, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	descriptor, err := windows.SecurityDescriptorFromString(ownersAlone)
	if err != nil {
		return nil, fmt.Errorf("rights of %s: %w", path, err)
	}
	attributes := &windows.SecurityAttributes{SecurityDescriptor: descriptor}
	attributes.Length = uint32(unsafe.Sizeof(*attributes))
	handle, err := windows.CreateFile(name, windows.GENERIC_WRITE, 0, attributes, windows.CREATE_NEW, windows.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		return nil, &os.PathError{Op: "create", Path: path, Err: err}
	}
	return os.NewFile(uintptr(handle), path), nil
}

// isTrusted reports whether a file belongs to the owner of its folder or to the system, since in some folders everybody may make files.
func isTrusted(path, folder string) (bool, error) {
	file, err := ownerOf(path)
	if err != nil {
		return false, err
	}
	around, err := ownerOf(folder)
	if err != nil {
		return false, err
	}
	isSystem := file.IsWellKnown(windows.WinLocalSystemSid) || file.IsWellKnown(windows.WinBuiltinAdministratorsSid)
	return isSystem || file.Equals(around), nil
}

func ownerOf(path string) (*windows.SID, error) {
	descriptor, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.OWNER_SECURITY_INFORMATION)
	if err != nil {
		return nil, fmt.Errorf("owner of %s: %w", path, err)
	}
	owner, _, err := descriptor.Owner()
	return owner, err
}
