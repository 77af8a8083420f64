package ftpclient_test

import (
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ftpferry/ftpferry/ftpclient"
)

// loopback is the key of the network that scripted servers are in.
const loopback = "lo 127.0.0.0/8"

// remembered are the channels of a client that has just found the way.
func remembered(way string) ftpclient.Channels {
	return ftpclient.Channels{{Network: loopback, Way: way, Since: time.Now().Unix()}}
}

// anyTime takes all ways as equally old.
func anyTime() cmp.Option { return cmpopts.IgnoreFields(ftpclient.Channel{}, "Since") }
