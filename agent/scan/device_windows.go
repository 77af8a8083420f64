package scan

import (
	"golang.org/x/sys/windows"

	"github.com/ftpferry/ftpferry/state"
)

func deviceOfHandle(handle uintptr) (device state.Device) {
	var info windows.ByHandleFileInformation
	if windows.GetFileInformationByHandle(windows.Handle(handle), &info) == nil {
		device.Number = uint64(info.VolumeSerialNumber)
	}
	return device
}
