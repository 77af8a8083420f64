package ftpclient_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestCommandsThatBreakOffTheLoginAreLeftOut has one login after the other, each with the facts
// of the one before, until one goes through.
func TestCommandsThatBreakOffTheLoginAreLeftOut(t *testing.T) {
	in := steps{{Send: "220 ready"}}.then(talk("USER ferry", "230 in")...)
	rest := talk("PWD", `257 "/"`, "TYPE I", "200 ok", "QUIT", "221 bye")
	dies := func(command string) ftptest.Step { return ftptest.Step{Expect: command, End: ftptest.Close} }
	all := talk("FEAT", "211-F\n CLNT\n UTF8\n MLST size;\n LANG EN\n211 End")
	tests := []struct {
		name    string
		logins  []steps
		leftOut string
	}{
		{"FEAT", []steps{in.then(dies("FEAT")), in.then(dies("FEAT")), in.then(talk("SYST", "500 what?")...).then(rest...)},
			"FEAT"},
		{"once is chance", []steps{in.then(dies("FEAT")), in.then(talk("FEAT", "500 what?", "SYST", "500 what?")...).then(rest...)},
			""},
		{"two that are not the same are chance", []steps{in.then(dies("FEAT")), in.then(all...).then(dies("CLNT ftpferry")),
			in.then(all...).then(talk("CLNT ftpferry", "200 ok", "OPTS UTF8 ON", "200 ok", "OPTS MLST size;", "200 ok", "LANG EN", "200 ok")...).then(rest...)},
			""},
		{"CLNT and OPTS", []steps{in.then(all...).then(dies("CLNT ftpferry")), in.then(all...).then(dies("CLNT ftpferry")),
			in.then(all...).then(dies("OPTS UTF8 ON")), in.then(all...).then(dies("OPTS UTF8 ON")),
			in.then(all...).then(talk("OPTS MLST size;", "200 ok", "LANG EN", "200 ok")...).then(rest...)},
			"CLNT,OPTS UTF8"},
		{"a refusal before the end", []steps{
			in.then(talk("FEAT", "500 what?")...).then(dies("SYST")), in.then(talk("FEAT", "500 what?")...).then(dies("SYST")),
			in.then(talk("SYST", "500 what?")...).then(rest...)},
			"FEAT"},
		{"a refusal before a command that has to be", []steps{
			in.then(talk("FEAT", "211-F\n MLST size*;\n LANG EN\n211 End", "LANG EN", "500 what?")...).then(dies("PWD")),
			in.then(talk("FEAT", "211-F\n MLST size*;\n LANG EN\n211 End", "LANG EN", "500 what?")...).then(dies("PWD")),
			in.then(talk("FEAT", "211-F\n MLST size*;\n LANG EN\n211 End")...).then(rest...)},
			"LANG"},
		{"a server that goes down is not to blame", []steps{in.then(ftptest.Step{Expect: "FEAT", Send: "421 bye", End: ftptest.Close}),
			in.then(ftptest.Step{Expect: "FEAT", Send: "421 bye", End: ftptest.Close}), in.then(talk("FEAT", "500 what?", "SYST", "500 what?")...).then(rest...)},
			""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := testOptions()
			for i, login := range test.logins {
				conn, err := ftpclient.Dial(t.Context(), ftptest.NewScript(t, login...).Addr, o)
				if err == nil {
					if got := conn.Facts(); got.LeftOut != test.leftOut || got.BrokeOff != "" || i != len(test.logins)-1 {
						t.Errorf("%q and %q in login %d, want %q", got.LeftOut, got.BrokeOff, i, test.leftOut)
					}
					conn.Close()
					return
				}
				var e *ftpclient.Error
				if !errors.As(err, &e) || e.Facts == nil {
					t.Fatalf("login %d: %v", i, err)
				}
				o.Facts = *e.Facts
			}
			t.Error("no login went through")
		})
	}
}

// TestASlowLoginGoesThrough has each step take nearly as long as it may.
func TestASlowLoginGoesThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		script := session("", nil)
		script = append(steps{{Send: "120 soon", Delay: 10 * time.Second}}, script...)
		script[1].Delay = 10 * time.Second
		var slow steps
		for _, step := range script {
			if step.Expect != "" && step.Expect != "QUIT" {
				slow = append(slow, ftptest.Step{Expect: step.Expect}, ftptest.Step{Delay: 29 * time.Second, Send: step.Send})
				continue
			}
			slow = append(slow, step)
		}
		server := ftptest.NewPipeScript(t, slow...)
		o := testOptions()
		o.ReplyTimeout, o.DialContext = 0, server.Dial
		conn, err := ftpclient.Dial(t.Context(), server.Addr, o)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	})
}

func TestAPromiseOfAGreetingIsTold(t *testing.T) {
	server := ftptest.NewScript(t, ftptest.Step{Send: "120 Service ready in 005 minutes"})
	o := testOptions()
	o.ReplyTimeout = 2 * time.Second
	_, err := ftpclient.Dial(t.Context(), server.Addr, o)
	outcome{is: ftpclient.ErrTimeout, class: ftpclient.ClassUnavailable}.check(t, err)
	if err == nil || !strings.Contains(err.Error(), "005 minutes") {
		t.Error(err)
	}
}

// TestTheNeedForTLSIsNoWrongPassword: whatever the code, the cure is told.
func TestTheNeedForTLSIsNoWrongPassword(t *testing.T) {
	user := steps{{Send: "220 ready"}}
	for _, reply := range []string{"530 Non-anonymous sessions must use encryption.", "550 SSL/TLS required on the control channel",
		"421 Sorry, cleartext sessions and weak ciphers are not accepted on this server.", "534 Die Richtlinie erfordert SSL.", "503 Use AUTH first."} {
		_, err := ftpclient.Dial(t.Context(), ftptest.NewScript(t, user.then(talk("USER ferry", reply)...)...).Addr, testOptions())
		if ftpclient.Classify(err) != ftpclient.ClassSetup || !errors.Is(err, ftpclient.ErrInsecure) || !strings.Contains(err.Error(), `tls = "explicit"`) {
			t.Errorf("%v (%s)", err, ftpclient.Classify(err))
		}
	}
}

func TestAFarewellThatRepeatsThePassword(t *testing.T) {
	script := steps{{Send: "220 ready"}}.then(talk("USER ferry", "331 password?", "PASS secret", "421 secret? bye")...)
	_, err := ftpclient.Dial(t.Context(), ftptest.NewScript(t, script...).Addr, testOptions())
	outcome{is: ftpclient.ErrClosing, code: 421, class: ftpclient.ClassUnavailable}.check(t, err)
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}
