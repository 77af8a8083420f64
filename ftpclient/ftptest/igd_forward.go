package ftptest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
)

// igdForwarder is a mapping that works.
type igdForwarder struct {
	listener net.Listener
	cancel   context.CancelFunc // ends the connections
}

func (f *igdForwarder) close() {
	f.listener.Close()
	f.cancel()
}

func (g *IGD) forward(external, client netip.AddrPort) (*igdForwarder, error) {
	listener, err := net.Listen("tcp4", external.String())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(g.t.Context())
	g.wg.Go(func() {
		for {
			outside, err := listener.Accept()
			if err != nil {
				return
			}
			g.wg.Go(func() { igdRelay(ctx, outside, client) })
		}
	})
	return &igdForwarder{listener: listener, cancel: cancel}, nil
}

// igdRelay connects an accepted connection with the client. The client sees it come from the address it comes from, as behind NAT.
func igdRelay(ctx context.Context, outside net.Conn, client netip.AddrPort) {
	defer outside.Close()
	from := net.TCPAddr{IP: outside.RemoteAddr().(*net.TCPAddr).IP}
	inside, err := (&net.Dialer{LocalAddr: &from}).DialContext(ctx, "tcp4", client.String())
	if err != nil {
		return
	}
	defer inside.Close()
	defer context.AfterFunc(ctx, func() {
		outside.Close()
		inside.Close()
	})()
	var directions sync.WaitGroup
	for _, pair := range [][2]net.Conn{{inside, outside}, {outside, inside}} {
		directions.Go(func() {
			_, _ = io.Copy(pair[0], pair[1])
			_ = pair[0].(*net.TCPConn).CloseWrite()
		})
	}
	directions.Wait()
}

// igdDescription is a plain description.
func igdDescription(version int) string {
	if version == 0 {
		version = 2
	}
	return fmt.Sprintf(`<?xml version="1.0"?>
<root xmlns="urn:schemas-upnp-org:device-1-0"><specVersion><major>1</major><minor>1</minor></specVersion>
<device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:%[1]d</deviceType><friendlyName>fake</friendlyName>
<deviceList><device><deviceType>urn:schemas-upnp-org:device:WANDevice:%[1]d</deviceType>
<deviceList><device><deviceType>urn:schemas-upnp-org:device:WANConnectionDevice:%[1]d</deviceType>
<serviceList><service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:%[1]d</serviceType>
<serviceId>urn:upnp-org:serviceId:WANIPConn1</serviceId><SCPDURL>/WANIPCn.xml</SCPDURL>
<controlURL>/ctl/IPConn</controlURL><eventSubURL>/evt/IPConn</eventSubURL></service></serviceList>
</device></deviceList></device></deviceList></device></root>`, version)
}
