package main

import (
	"os"

	"golang.org/x/sys/windows"
)

func windowSize(file *os.File) (columns, rows int, err error) {
	console := windows.Handle(file.Fd())
	var info windows.ConsoleScreenBufferInfo
	if err := windows.GetConsoleScreenBufferInfo(console, &info); err != nil {
		return 0, 0, err
	}
	var mode uint32
	if err := windows.GetConsoleMode(console, &mode); err != nil {
		return 0, 0, err
	}
	if err := windows.SetConsoleMode(console, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING); err != nil {
		return 0, 0, err
	}
	return int(info.Window.Right-info.Window.Left) + 1, int(info.Window.Bottom-info.Window.Top) + 1, nil
}
