package main

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// delayed joins two hosts by a pair of TUN interfaces, named as [ftptest.Lab.Link] names its own. Each packet that goes in at one end
// comes out at the other one after delay. Packets cross as the kernel hands them out, up to 64 KiB in one piece and cut into
// segments by the receiver, so that the line carries much more than a window of TCP in a round trip. The line ends with the scope.
func delayed(s *scope, a *ftptest.Host, addressOfA string, b *ftptest.Host, addressOfB string, delay time.Duration) {
	endA, endB := openTunnel(s, a, a.Link(b)), openTunnel(s, b, b.Link(a))
	var running sync.WaitGroup
	s.Cleanup(func() {
		endA.Close()
		endB.Close()
		running.Wait()
	})
	running.Go(func() { carry(endA, endB, delay) })
	running.Go(func() { carry(endB, endA, delay) })
	for _, end := range []struct {
		host, other     *ftptest.Host
		address, other2 string
	}{{a, b, addressOfA, addressOfB}, {b, a, addressOfB, addressOfA}} {
		name := end.host.Link(end.other)
		end.host.Run("ip", "address", "add", end.address, "peer", end.other2, "dev", name)
		end.host.Run("ip", "link", "set", name, "txqueuelen", "10000", "up")
	}
}

// Flags of TUNSETOFFLOAD: checksums may be left to do, and segments of TCP may come in one piece.
const tunnelOffloads = unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6

// openTunnel makes an interface on the host. It is gone when the file is closed.
func openTunnel(s *scope, host *ftptest.Host, name string) *os.File {
	var descriptor int
	err := host.Do(func() (err error) {
		if descriptor, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0); err != nil {
			return fmt.Errorf("open /dev/net/tun: %w", err)
		}
		request, err := unix.NewIfreq(name)
		if err == nil {
			request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
			err = unix.IoctlIfreq(descriptor, unix.TUNSETIFF, request)
		}
		if err == nil {
			err = unix.IoctlSetInt(descriptor, unix.TUNSETOFFLOAD, tunnelOffloads)
		}
		if err != nil {
			unix.Close(descriptor)
			return fmt.Errorf("make the interface %s: %w", name, err)
		}
		return nil
	})
	if err != nil {
		s.Fatal(err)
	}
	return os.NewFile(uintptr(descriptor), "tun "+name)
}

// inFlight is how many packets may be on the way; the interface keeps those beyond, and drops them as a full router does.
const inFlight = 16 << 10

// largestPacket is the most that the kernel hands out, with the header that says how it is to be cut.
const largestPacket = 1<<16 + 64

type inTransit struct {
	due  time.Time
	data []byte
}

// carry moves packets one way until an end is closed.
func carry(from, to *os.File, delay time.Duration) {
	line := make(chan inTransit, inFlight)
	var delivery sync.WaitGroup
	delivery.Go(func() {
		for packet := range line {
			time.Sleep(time.Until(packet.due))
			// An error is a packet that the kernel does not take, as when the other end is gone. Lines lose packets.
			to.Write(packet.data)
		}
	})
	defer delivery.Wait()
	defer close(line)
	for buffer := make([]byte, largestPacket); ; {
		n, err := from.Read(buffer)
		switch {
		case errors.Is(err, unix.EIO): // it is not up yet
			time.Sleep(time.Millisecond)
		case err != nil:
			return
		default:
			line <- inTransit{time.Now().Add(delay), append([]byte(nil), buffer[:n]...)}
		}
	}
}
