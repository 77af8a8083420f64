package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/extip"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// groundsAtATime bounds the networks that are there at once: most of the time they wait.
const groundsAtATime = 12

// TestNAT has the program work in networks that are in the way. Each story has a network of its own.
func TestNAT(t *testing.T) {
	for _, need := range []string{"netns", "ip", "nft", "miniupnpd", "vsftpd", "proftpd"} {
		ftptest.Need(t, need)
	}
	t.Parallel()
	places := make(chan struct{}, groundsAtATime)
	var telling sync.WaitGroup
	defer telling.Wait()
	play := func(name string, story func(t *testing.T)) {
		places <- struct{}{}
		// Not by t.Parallel, which has few places, meant for tests that work.
		telling.Go(func() {
			defer func() { <-places }()
			t.Run(name, story)
		})
	}
	for _, secured := range []bool{false, true} {
		// Those that take longest come first.
		for _, story := range []struct {
			name string
			tell func(t *testing.T, secured bool)
		}{
			{"a NAT forgets idle connections while a file is sent", idleConnection},
			{"a NAT loses the connection that the final reply comes by", lostReply},
			{"there is no way, and later there is one", noPath},
			{"a gateway opens ports", gatewayOpensPorts},
			{"a gateway that opens ports gets another address", anotherAddress},
			{"ports are forwarded", forwardedPorts},
		} {
			name := story.name + map[bool]string{false: "/plain", true: "/TLS"}[secured]
			play(name, func(t *testing.T) { story.tell(t, secured) })
		}
	}
	for _, row := range doctorRows {
		play("doctor: "+row.name, row.test)
	}
}

const fileSize = 300_000 // more than what sockets buffer

// blockedMapping is a server that can only call, and a gateway that opens ports for that.
var blockedMapping = ftptest.Layout{NAT: true, Mapping: "PCP", Blocked: "drop"}

// gatewayOpensPorts: the mapping is there while the program runs, survives its death, and goes with its end.
func gatewayOpensPorts(t *testing.T, secured bool) {
	g := newGround(t, blockedMapping, secured, ftptest.RealOptions{})
	config := g.configure("agent", g.section(""))
	g.put("local/up", "a.bin", fileSize)
	g.put("remote/down", "b.bin", fileSize)
	first := g.start(config, "run")
	g.await("the file goes up", func() bool { return g.has("up", "a.bin") })
	once := g.start(config, "once") // through the running one
	once.end(0)
	if !g.inStep() {
		t.Error("not in step after the pass")
	}
	mapped := g.mappings()
	if len(mapped) != 1 {
		t.Fatalf("open at the gateway: %q, want one port", mapped)
	}
	first.Process.Kill()
	first.end(-1)
	known := g.memory("agent")
	if len(known.Mappings) != 1 || known.Nonce == (extip.Nonce{}) || known.Mappings[0].Nonce != known.Nonce ||
		fmt.Sprintf("%d to %s", known.Mappings[0].External.Port(), known.Mappings[0].Internal) != mapped[0] {
		t.Errorf("the state has %+v, the gateway %q", known, mapped)
	}

	second := g.start(config, "run")
	g.put("local/up", "c.bin", fileSize)
	g.await("the next file goes up", func() bool { return g.has("up", "c.bin") })
	if again := g.mappings(); !slices.Equal(again, mapped) {
		t.Errorf("open after the restart: %q, before %q", again, mapped)
	}
	second.Process.Signal(syscall.SIGTERM)
	second.end(0)
	if left := g.mappings(); len(left) > 0 {
		t.Errorf("still open at the end: %q", left)
	}
	if after := g.memory("agent"); len(after.Mappings) > 0 || after.Nonce != known.Nonce {
		t.Errorf("the state has %+v at the end, before it had the nonce %x", after, known.Nonce)
	}
	g.leftovers("down/b.bin", "up/a.bin", "up/c.bin")
}

// anotherAddress: what was found out about the one before does not last.
func anotherAddress(t *testing.T, secured bool) {
	g := newGround(t, blockedMapping, secured, ftptest.RealOptions{})
	g.put("local/up", "a.bin", fileSize)
	agent := g.start(g.configure("agent", g.section("")+"reply_timeout = \"5s\"\n"), "run")
	g.await("the file goes up", func() bool { return g.has("up", "a.bin") })
	time.Sleep(6 * time.Second) // a port that was opened a moment ago is believed in
	g.Gateway.Run("ip", "address", "flush", "dev", "ferry-internet")
	g.Gateway.Run("ip", "address", "add", "1.2.3.7/24", "dev", "ferry-internet")
	g.Gateway.Route("default", "1.2.3.1")
	g.Gateway.Rules(`flush chain ip gateway postrouting
		add rule ip gateway postrouting oifname ferry-internet snat to 1.2.3.7`)
	g.Internet.Rules("table ip gone { chain forward { type filter hook forward priority -5\nip saddr 1.2.3.2 drop\nip daddr 1.2.3.2 drop\n}\n}")
	g.put("local/up", "b.bin", fileSize)
	took := g.await("the next file goes up", func() bool { return g.has("up", "b.bin") })
	t.Logf("it took %s", took)
	agent.Process.Signal(syscall.SIGTERM)
	agent.end(0)
	if left := g.mappings(); len(left) > 0 {
		t.Errorf("still open at the end: %q", left)
	}
	g.leftovers("up/a.bin", "up/b.bin")
}

// forwardedPorts: the second process knows what the first has found out.
func forwardedPorts(t *testing.T, secured bool) {
	g := newGround(t, ftptest.Layout{NAT: true, Forwarded: 50000, Blocked: "drop"}, secured, ftptest.RealOptions{})
	config := g.configure("agent", g.section(`active_ports = "50000-50010"`))
	const news = "data connections work in another way"
	for _, name := range []string{"a.bin", "b.bin"} {
		g.put("local/up", name, fileSize)
		g.put("remote/down", name, fileSize)
		before := g.passive()
		once := g.start(config, "once", "-v")
		once.end(0)
		ways, passive := once.events(news), g.passive() > before
		t.Logf("%s: %s", name, once.took)
		switch first := name == "a.bin"; {
		case first && (len(ways) == 0 || ways[0]["way"] != "forwarded PORT" || !passive):
			t.Errorf("the log does not tell the way, or nothing else was tried: %v", ways)
		case !first && (len(ways) > 0 || passive):
			t.Errorf("what was known was tried again: %v", ways)
		}
		if !g.inStep() {
			t.Error("not in step")
		}
	}
}

// passive counts the commands of passive mode that the server has got.
func (g *ground) passive() int { return len(passiveCommand.FindAllString(g.server.Log(), -1)) }

var passiveCommand = regexp.MustCompile(`(?m)(?:^|FTP command: Client "[^"]*", ")(?:EPSV|PASV)\b`)

// noPath: nothing is touched and nothing is given up; a running agent goes on by itself once there is a way.
func noPath(t *testing.T, secured bool) {
	g := newGround(t, ftptest.Layout{NAT: true, Blocked: "drop"}, secured, ftptest.RealOptions{})
	g.put("remote/up", "old.bin", 1000)
	g.put("local/down", "old.bin", 1000)
	before := [2]map[string]string{g.hashes("remote/up"), g.hashes("local/down")}
	g.put("local/up", "a.bin", fileSize)
	g.put("remote/down", "b.bin", fileSize)
	agent := g.start(g.configure("agent", g.section("")), "run")
	once := g.start(g.configure("once", g.section("")), "once", "-v")
	once.end(69)
	t.Logf("once: %s\n%s", once.took, once.out.String())
	account := regexp.MustCompile(`(?m)^(up|down): server unavailable: no data channel to 198\.51\.100\.10 \(we are 10\.10\.0\.2, the server sees us as 203\.0\.113\.2\); nothing done
      passive EPSV \(we connect to the server\): dialled 198\.51\.100\.10:60\d\d\d, no answer in \S+ -> on the server's side: `)
	if !account.Match(once.out.Bytes()) {
		t.Errorf("the account is not to be found, each way in a line of its own:\n%s", once.out.Bytes())
	}
	if strings.Count(once.out.String(), "passive EPSV") > 1 {
		t.Errorf("the account is repeated:\n%s", once.out.Bytes())
	}
	if n := strings.Count(once.out.String(), "server unavailable"); n != 2 {
		t.Errorf("the server is not available for %d of 2 syncs:\n%s", n, once.out.Bytes())
	}
	g.await("the agent pauses the server", func() bool { return len(agent.events("paused")) > 0 })
	for _, r := range []*running{once, agent} {
		for _, event := range r.events("paused") {
			cause, _ := event["cause"].(map[string]any)
			passive, _ := cause["passive_EPSV"].(map[string]any)
			if event["server"] != "real" || cause["host"] != "198.51.100.10" || cause["seen_as"] != "203.0.113.2" || cause["tls"] != secured ||
				!strings.HasPrefix(fmt.Sprint(passive["target"]), "198.51.100.10:60") || passive["cure"] == "" {
				t.Errorf("event %v", event)
			}
		}
	}
	if accounts, tries := strings.Count(once.log(), `"passive_EPSV":`), len(once.events("paused")); accounts != tries || tries < 1 || tries > 2 {
		t.Errorf("%d accounts in the log, of %d tries", accounts, tries)
	}
	if n := g.sent(); n > 0 {
		t.Errorf("STOR was sent %d times", n)
	}
	g.leftovers("down/b.bin", "up/old.bin")
	if now := [2]map[string]string{g.hashes("remote/up"), g.hashes("local/down")}; fmt.Sprint(now) != fmt.Sprint(before) {
		t.Errorf("files were %v, are %v", before, now)
	}
	g.view("once", func(tx *state.Tx) error {
		jobs, err := queue.List(tx, queue.Filter{})
		explained := false
		for _, job := range jobs {
			if job.State == queue.Dead || job.Attempts > 0 {
				t.Errorf("job %+v", job)
			}
			explained = explained || strings.Contains(job.LastError, "\n  passive EPSV")
		}
		if len(jobs) != 2 || !explained {
			t.Errorf("%d jobs are left, want 2, and the account in one: %v", len(jobs), explained)
		}
		return err
	})

	g.Server.Run("nft", "flush", "ruleset")
	healed := g.await("the file arrives by itself", func() bool { return g.has("up", "a.bin") })
	t.Logf("healed after %s", healed)
	g.start(filepath.Join(g.dir, "agent.toml"), "once").end(0)
	agent.Process.Signal(syscall.SIGTERM)
	agent.end(0)
	g.leftovers("down/b.bin", "up/a.bin", "up/old.bin")
}

// idleConnection: the control connection would be forgotten in the middle if nobody kept it alive.
func idleConnection(t *testing.T, secured bool) {
	const rate, size = 50 << 10, 1_500_000
	g := newGround(t, ftptest.Layout{NAT: true, Forgets: true}, secured, ftptest.RealOptions{Throttle: rate})
	g.put("local/up", "a.bin", size)
	once := g.start(g.configure("agent", g.section("")), "once", "-v")
	once.end(0)
	if once.took < size/rate*time.Second*8/10 {
		t.Errorf("it took %s", once.took)
	}
	if n := g.sent(); n != 1 || !g.inStep() {
		t.Errorf("sent %d times, in step: %v", n, g.inStep())
	}
	g.leftovers("up/a.bin")
}

// forgetting has a gateway drop what belongs to control connections that are there already, as one does that has lost its
// table: it answers nothing. New connections get through.
const forgetting = `table ip forgetting { chain forward { type filter hook forward priority -5
	tcp dport 21 ct state new ct mark set 7
	tcp dport 21 ct mark != 7 drop
	tcp sport 21 ct mark != 7 drop
}
}`

// lostReply: what was sent in full is not sent again.
func lostReply(t *testing.T, secured bool) {
	const rate, size = 100 << 10, 500_000
	g := newGround(t, ftptest.Layout{NAT: true}, secured, ftptest.RealOptions{Throttle: rate})
	g.put("local/up", "a.bin", size)
	once := g.start(g.configure("agent", g.section("")), "once", "-v")
	g.await("the upload begins", func() bool {
		for name := range g.hashes("remote/up") {
			info, err := os.Stat(filepath.Join(g.folders["remote/up"], name))
			if err == nil && info.Size() > 0 {
				return true
			}
		}
		return false
	})
	g.Gateway.Rules(forgetting)
	once.end(0)
	t.Logf("it took %s\n%s", once.took, once.log())
	if n := g.sent(); n != 1 || !g.inStep() {
		t.Errorf("sent %d times, in step: %v", n, g.inStep())
	}
	if !strings.Contains(once.log(), "on a new connection") {
		t.Error("it was not compared on a new connection")
	}
	g.leftovers("up/a.bin")
}
