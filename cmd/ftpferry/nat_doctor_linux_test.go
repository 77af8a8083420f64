package main

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ftpferry/ftpferry/agent/doctor"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// doctorRow is a network and what the doctor has to find out about it.
type doctorRow struct {
	name    string
	layout  ftptest.Layout
	data    string // what is configured
	secured bool
	code    int
	ways    []string // those that work
	nat     string
	sources map[string]string // external addresses by source
	mapper  string            // the protocol by which the gateway opens ports
	helper  bool
	advice  string // a setting that is left to a person to decide
	worded  string // somewhere in the text
}

var (
	passiveWays = []string{"passive EPSV", "passive PASV"}
	directWays  = []string{"direct PORT", "direct EPRT"}
	plainView   = map[string]string{"server": "203.0.113.2"}
	mappedView  = map[string]string{"server": "1.2.3.2", "PCP": "1.2.3.2"}
)

var doctorRows = []doctorRow{
	{name: "direct", ways: slices.Concat(passiveWays, directWays), nat: "none", sources: plainView},
	{name: "NAT", layout: ftptest.Layout{NAT: true}, secured: true, ways: passiveWays, nat: "NAT", sources: plainView},
	{
		name: "NAT and blocked server", layout: ftptest.Layout{NAT: true, Blocked: "drop"}, secured: true, code: 1, nat: "NAT",
		sources: plainView, advice: "data.active_ports", worded: "this needs a person",
	},
	{
		name: "forwarded ports and blocked server", layout: ftptest.Layout{NAT: true, Forwarded: 50000, Blocked: "drop"},
		data: `active_ports = "50000-50010"`, secured: true, nat: "NAT", ways: []string{"forwarded PORT", "forwarded EPRT"}, sources: plainView,
	},
	{
		name: "gateway that opens ports, and blocked server", layout: blockedMapping, secured: true, nat: "NAT",
		ways: []string{"mapped PORT", "mapped EPRT"}, sources: mappedView, mapper: "PCP", worded: "the gateway opens ports by PCP",
	},
	{
		name: "NAT that reads along, and blocked server", layout: ftptest.Layout{NAT: true, Helper: true, Blocked: "drop"},
		nat: "NAT", ways: []string{"helper PORT", "helper EPRT"}, sources: plainView, helper: true, worded: "(a helper)",
	},
	{
		name: "two NATs, and a gateway that therefore opens no ports", code: 1, nat: "NAT",
		layout:  ftptest.Layout{NAT: true, TwoNATs: true, Mapping: "PCP", Blocked: "drop"},
		sources: map[string]string{"server": "1.2.3.2"}, advice: "data.active_ports", worded: ": nobody connected\n",
	},
	{
		name: "two NATs, and a gateway that opens ports in vain", code: 1, secured: true, nat: "two NATs", mapper: "PCP",
		layout:  ftptest.Layout{NAT: true, TwoNATs: true, Mapping: "PCP", Claims: "1.2.3.9", Blocked: "drop"},
		sources: map[string]string{"server": "1.2.3.2", "PCP": "1.2.3.9"}, advice: "data.active_ports", worded: "two NATs",
	},
}

// test has the doctor look, as a person and as a script would, and the agent work with what it recommends.
func (r doctorRow) test(t *testing.T) {
	g := newGround(t, r.layout, r.secured, ftptest.RealOptions{})
	config := g.configure("patient", g.section(r.data))
	var reports []doctor.Report
	// A gateway has a second to answer in, which is long for a gateway and not for one on a machine that does other things too.
	for try, answered := 0, false; !answered && try < 10; try++ {
		text, data := g.start(config, "doctor"), g.start(config, "doctor", "--json")
		text.end(r.code)
		data.end(r.code)
		t.Logf("%s\n%s", text.took, text.out.String())
		reports = nil
		if err := json.Unmarshal(withSeconds.ReplaceAll(data.out.Bytes(), []byte(`"$1": 0`)), &reports); err != nil || len(reports) != 1 {
			t.Fatalf("%v\n%s", err, data.out.Bytes())
		}
		if reports[0].Outside == nil {
			t.Fatalf("nothing was found out about the network:\n%s", data.out.Bytes())
		}
		answered = (r.mapper == "" || strings.Contains(text.out.String(), r.worded)) &&
			!slices.ContainsFunc(reports[0].Outside.Sources, func(s doctor.Source) bool {
				return s.Source == g.Mapping && strings.Contains(s.Error, "no answer")
			})
		if answered || try == 9 {
			r.checkReport(t, reports[0])
			r.checkText(t, text.out.String())
		}
	}
	g.leftovers()
	if g.Mapping != "" && !g.TwoNATs {
		if left := g.mappings(); len(left) > 0 {
			t.Errorf("left open at the gateway: %q", left)
		}
	}

	section := reports[0].TOML
	if r.advice != "" {
		section = strings.ReplaceAll(section, "\n#data", "\ndata") // the person decides for it
	}
	recommended := g.configure("recommended", section+"password = \""+g.server.Password+"\"\n")
	g.start(recommended, "check").end(0)
	if r.code != 0 {
		return
	}
	g.put("local/up", "a.bin", fileSize)
	g.put("remote/down", "b.bin", fileSize)
	g.start(recommended, "once").end(0)
	if g.leftovers("down/b.bin", "up/a.bin"); !g.inStep() {
		t.Error("not in step by the recommended settings")
	}
}

// withSeconds: times are numbers of seconds in JSON, which go one way only.
var withSeconds = regexp.MustCompile(`"([a-z_]*seconds)": [0-9.]+`)

func (r doctorRow) checkReport(t *testing.T, report doctor.Report) {
	if report.Channels == nil || report.Outside == nil {
		t.Fatalf("report %+v", report)
	}
	var works []string
	for _, way := range report.Channels.Ways {
		if way.Works {
			works = append(works, way.Way)
		}
	}
	if !slices.Equal(works, r.ways) {
		t.Errorf("these work: %q, want %q", works, r.ways)
	}
	outside := report.Outside
	if outside.NAT != r.nat || outside.Mapper != r.mapper || outside.Helper != r.helper {
		t.Errorf("NAT %q, mapper %q, helper %v; want %q, %q, %v", outside.NAT, outside.Mapper, outside.Helper, r.nat, r.mapper, r.helper)
	}
	for source, address := range r.sources {
		if !slices.ContainsFunc(outside.Sources, func(s doctor.Source) bool { return s.Source == source && s.Address == address }) {
			t.Errorf("source %s: want %s in %+v", source, address, outside.Sources)
		}
	}
	if r.advice != "" && !slices.ContainsFunc(report.Settings, func(s doctor.Setting) bool { return s.Ask && s.Key == r.advice }) {
		t.Errorf("%s is not recommended: %+v", r.advice, report.Settings)
	}
}

// checkText looks at what people read. Lines of TOML and single long words may be longer than a terminal is wide.
func (r doctorRow) checkText(t *testing.T, text string) {
	if !strings.Contains(text, r.worded) {
		t.Errorf("the text does not say %q", r.worded)
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if utf8.RuneCountInString(line) > 80 && !regexp.MustCompile(`^  #?[a-z_]+ = |pin +sha256`).MatchString(line) {
			t.Errorf("longer than 80: %q", line)
		}
	}
	for _, way := range r.ways {
		if !regexp.MustCompile(`(?m)^  ok    ` + way + ` +([0-9.]+|<1) ?m?s `).MatchString(text) {
			t.Errorf("no line with the time of %s", way)
		}
	}
}
