package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// capture counts what passes the client's end of a line, until it is stopped.
type capture struct {
	socket  int
	counter *counter
	stop    atomic.Bool
	ended   chan struct{}
	err     error // once ended
}

// controlPort is that of the server.
const controlPort = 21

// interesting lets the headers of IPv4 packets pass that belong to a control connection or begin any other.
var interesting = []bpf.Instruction{
	bpf.LoadAbsolute{Off: 0, Size: 1},
	bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf0},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0x40, SkipTrue: 10},
	bpf.LoadAbsolute{Off: 9, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 6, SkipTrue: 8},
	bpf.LoadMemShift{Off: 0},
	bpf.LoadIndirect{Off: 0, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: controlPort, SkipTrue: 4},
	bpf.LoadIndirect{Off: 2, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: controlPort, SkipTrue: 2},
	bpf.LoadIndirect{Off: 13, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: 0x02, SkipTrue: 1},
	bpf.RetConstant{Val: longestHeaders},
	bpf.RetConstant{Val: 0},
}

// longestHeaders of IPv4 and TCP, in bytes.
const longestHeaders = 120

// captureBuffer is how much may wait to be counted.
const captureBuffer = 32 << 20

// startCapture begins to count on the line.
func startCapture(l *line) (*capture, error) {
	server := netip.AddrPortFrom(netip.MustParseAddr(serverAddress), controlPort)
	c := &capture{counter: newCounter(server), ended: make(chan struct{})}
	if err := l.client.Do(func() error { return c.open(l.interfaceName()) }); err != nil {
		return nil, fmt.Errorf("count packets: %w", err)
	}
	go func() {
		defer close(c.ended)
		c.err = c.read()
	}()
	return c, nil
}

func (c *capture) open(name string) error {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	// Nothing arrives before there is a filter and an interface.
	if c.socket, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		return err
	}
	err = c.filter()
	if err == nil {
		err = unix.SetsockoptInt(c.socket, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, captureBuffer)
	}
	if err == nil {
		const everything = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8 // in network order: what goes out is not seen otherwise
		err = unix.Bind(c.socket, &unix.SockaddrLinklayer{Protocol: everything, Ifindex: link.Index})
	}
	if err != nil {
		unix.Close(c.socket)
	}
	return err
}

func (c *capture) filter() error {
	instructions, err := bpf.Assemble(interesting)
	if err != nil {
		return err
	}
	program := make([]unix.SockFilter, len(instructions))
	for i, instruction := range instructions {
		program[i] = unix.SockFilter{Code: instruction.Op, Jt: instruction.Jt, Jf: instruction.Jf, K: instruction.K}
	}
	return unix.SetsockoptSockFprog(c.socket, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
}

// read counts until the capture is stopped, and then what is there still.
func (c *capture) read() error {
	for buffer := make([]byte, longestHeaders); ; {
		last := c.stop.Load()
		for {
			n, _, err := unix.Recvfrom(c.socket, buffer, 0)
			if errors.Is(err, unix.EAGAIN) {
				break
			}
			if err != nil && !errors.Is(err, unix.EINTR) {
				return err
			}
			if p, ok := parsePacket(buffer[:max(n, 0)]); ok {
				c.counter.see(p)
			}
		}
		if last {
			return nil
		}
		const patience = 50 // ms until it looks whether to stop
		if _, err := unix.Poll([]unix.PollFd{{Fd: int32(c.socket), Events: unix.POLLIN}}, patience); err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// finish ends the capture. Counts that are not complete are an error.
func (c *capture) finish() (counts, error) {
	c.stop.Store(true)
	<-c.ended
	defer unix.Close(c.socket)
	if c.err != nil {
		return counts{}, fmt.Errorf("count packets: %w", c.err)
	}
	statistics, err := unix.GetsockoptTpacketStats(c.socket, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return counts{}, fmt.Errorf("count packets: %w", err)
	}
	if statistics.Drops > 0 {
		return counts{}, fmt.Errorf("count packets: %d were missed", statistics.Drops)
	}
	return c.counter.counts, nil
}
