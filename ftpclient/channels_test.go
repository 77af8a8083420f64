package ftpclient_test

import (
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// loopback is the key of the network that scripted servers are in.
const loopback = "lo 127.0.0.0/8"

// remembered are the channels of a client that has just found the way.
func remembered(way string) ftpclient.Channels {
	return ftpclient.Channels{{Network: loopback, Way: way, Since: time.Now().Unix()}}
}

// anyTime takes all ways as equally old.
func anyTime() cmp.Option { return cmpopts.IgnoreFields(ftpclient.Channel{}, "Since") }

// activeOnly and passiveOnly restrict the ways of data connections.
func activeOnly(o *ftpclient.Options)  { o.Data.Policy = ftpclient.DataActiveOnly }
func passiveOnly(o *ftpclient.Options) { o.Data.Policy = ftpclient.DataPassiveOnly }

// surveyed is what the server is asked before the first active way: it does not tell.
var surveyed = talk("STAT", "211 all is well")

// provenWay is the proof of an active way in folder.
func provenWay(folder, command string) steps {
	return talk("CWD "+folder, "250 ok", command+" *", "200 ok").then(names...)
}

// names is an empty answer to NLST.
var names = steps{{Expect: "NLST", Send: "150 here they come", Data: &ftptest.Data{End: ftptest.Close}}, {Send: "226 done"}}

// replaced is the end of a control connection, and the login on the one that takes its place.
func replaced() steps {
	return steps{{Expect: "QUIT", Send: "221 bye", End: ftptest.Close}}.then(open("", nil)...)
}
