package ftpclient_test

import (
	"context"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/extip"
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

func TestModesOfData(t *testing.T) {
	retrieve := steps{{Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{Send: "hello", End: ftptest.Close}}, {Send: "226 done"}}
	pasv := ftptest.Step{Expect: "PASV", Passive: true}
	deadEPSV := ftptest.Step{Expect: "EPSV", Send: fmt.Sprintf("229 here (|||%d|)", refusedPort(t))}
	port := refusedPort(t)
	deadPASV := ftptest.Step{Expect: "PASV", Send: fmt.Sprintf("227 here (127,0,0,1,%d,%d)", port>>8, port&0xff)}
	noData := outcome{class: ftpclient.ClassSetup}
	callBack := ftptest.Step{Expect: "PORT 127,0,0,1,*", Send: "200 ok"}
	tests := []struct {
		name   string
		script steps
		change func(*ftpclient.Options)
		lost   bool
		want   []outcome // one for each download
		facts  ftpclient.Facts
	}{
		{name: "EPSV is refused once, and PASV taken from then on",
			script: talk("EPSV", "522 no").then(pasv).then(retrieve...).then(pasv).then(retrieve...),
			want:   []outcome{{}, {}}, facts: ftpclient.Facts{EPSVRefused: true, Channels: remembered("passive PASV")}},
		{name: "EPSV that is refused for the moment is asked for again",
			script: talk("EPSV", "425 not now").then(pasv).then(retrieve...).then(pasv).then(retrieve...),
			want:   []outcome{{}, {}}, facts: ftpclient.Facts{Channels: remembered("passive PASV")}},
		{name: "nobody listens on the port of EPSV",
			script: steps{deadEPSV, pasv}.then(retrieve...).then(pasv).then(retrieve...),
			want:   []outcome{{}, {}}, facts: ftpclient.Facts{Channels: remembered("passive PASV")}},
		{name: "the reply to EPSV is nonsense",
			script: talk("EPSV", "229 (here)").then(pasv).then(retrieve...),
			want:   []outcome{{}}, facts: ftpclient.Facts{Channels: remembered("passive PASV")}},
		{name: "what worked last comes first",
			script: steps{pasv}.then(retrieve...), change: func(o *ftpclient.Options) { o.Facts.Channels = remembered("passive PASV") },
			want: []outcome{{}}, facts: ftpclient.Facts{Channels: remembered("passive PASV")}},
		{name: "nothing works, and the next transfer starts over",
			script: steps{deadEPSV, deadPASV}.then(talk("STAT", "502 no", "CWD /", "250 ok", "PORT *", "500 no", "CWD /", "250 ok",
				"EPRT *", "500 no")...).then(passive).then(retrieve...),
			want: []outcome{noData, {}}, facts: ftpclient.Facts{Status: "none", Channels: remembered("passive EPSV")}},
		{name: "the server is out of ports", change: passiveOnly,
			script: talk("EPSV", "425 no port", "PASV", "425 no port"),
			want:   []outcome{{class: ftpclient.ClassConnection}}},
		{name: "the login is lost",
			script: talk("EPSV", "530 Please login"),
			want:   []outcome{{code: 530, class: ftpclient.ClassConnection}}},
		{name: "the server says farewell at EPSV", lost: true,
			script: talk("EPSV", "421 bye"),
			want:   []outcome{{is: ftpclient.ErrClosing, code: 421, class: ftpclient.ClassConnection}}},
		{name: "the server calls back", change: activeOnly,
			script: surveyed.then(provenWay("/", "PORT")...).then(callBack).then(retrieve...).then(callBack).then(retrieve...),
			want:   []outcome{{}, {}}, facts: ftpclient.Facts{Channels: remembered("direct PORT")}},
		{name: "PORT is refused and EPRT is not", change: activeOnly,
			script: surveyed.then(talk("CWD /", "250 ok", "PORT *", "502 what?")...).then(provenWay("/", "EPRT")...).
				then(ftptest.Step{Expect: "EPRT |1|127.0.0.1|*", Send: "200 ok"}).then(retrieve...),
			want: []outcome{{}}, facts: ftpclient.Facts{Channels: remembered("direct EPRT")}},
		{name: "the server cannot call back and says so after 150, which ends the wait",
			change: func(o *ftpclient.Options) { activeOnly(o); o.ConnectTimeout = time.Hour },
			script: surveyed.then(talk("CWD /", "250 ok", "PORT *", "200 ok", "NLST", "150 go\n425 cannot reach you")...),
			want:   []outcome{noData}},
		{name: "the server never calls back", lost: true,
			change: func(o *ftpclient.Options) { activeOnly(o); impatient(o) },
			script: surveyed.then(talk("CWD /", "250 ok", "PORT *", "200 ok", "NLST", "150 go")...),
			want:   []outcome{noData}},
		{name: "a stranger calls first", change: activeOnly,
			script: surveyed.then(provenWay("/", "PORT")...).then(callBack,
				ftptest.Step{Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{From: "127.0.0.2", Receive: ftptest.All, End: ftptest.Close}},
				ftptest.Step{Data: &ftptest.Data{Send: "hello", End: ftptest.Close}}, ftptest.Step{Send: "226 done"}),
			want: []outcome{{}}, facts: ftpclient.Facts{Channels: remembered("direct PORT")}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			script := session("", test.script)
			if test.lost {
				script = open("", test.script)
			}
			change := test.change
			if change == nil {
				change = func(*ftpclient.Options) {}
			}
			conn, _ := connect(t, script, change)
			for _, want := range test.want {
				content, _, err := get(t.Context(), conn, "/f")
				want.check(t, err)
				if err == nil && content != "hello" {
					t.Errorf("content %q", content)
				}
			}
			if diff := cmp.Diff(test.facts, conn.Facts(), anyTime()); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
		})
	}
}

// TestTheGatewayIsMetWhileAServerIsSilent: it takes seconds to answer, or not to, and is needed after the silence.
func TestTheGatewayIsMetWhileAServerIsSilent(t *testing.T) {
	ftptest.Need(t, "deaf port")
	t.Parallel()
	gateway := ftptest.NewGateway(t, ftptest.GatewayOptions{PCP: true, Claim: netip.MustParseAddr("203.0.113.2")})
	locator := extip.NewLocator(extip.Options{Gateway: true, Router: gateway.Addr})
	t.Cleanup(func() { locator.Close(context.Background()) })
	var asked atomic.Int64
	script := talk("EPSV", fmt.Sprintf("229 here (|||%d|)", ftptest.DeafPort(t))).
		then(ftptest.Step{Expect: "QUIT", Send: "221 bye", End: ftptest.Close}, ftptest.Step{Call: func() { asked.Store(int64(gateway.Requests().Packets)) }, End: ftptest.Close})
	conn, _ := connect(t, open("", script), func(o *ftpclient.Options) {
		o.ConnectTimeout, o.Data.Locator = 3*time.Second, locator
	})
	if err := putHello(t.Context(), conn); err == nil {
		t.Error("it worked")
	}
	if asked.Load() == 0 {
		t.Error("when the silence was over, the gateway had not been asked")
	}
}
