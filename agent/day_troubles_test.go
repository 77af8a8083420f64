package agent

import (
	"fmt"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// trouble is something that goes wrong, and what each channel has to say about it. Expectations are words of one line, "..." stands for anything
// between them.
type trouble struct {
	name   string
	begin  func(d *day)
	lasts  time.Duration
	silent bool // no heartbeats meanwhile
	during words
	cure   func(d *day)
	after  words
}

var troubles = []trouble{
	{
		name: "the server is down for 40 minutes", lasts: 40 * time.Minute,
		begin: func(d *day) { d.server.SetDown(true) },
		during: words{
			status: []string{
				"sync site: pause: connect...connection refused", "server acme: paused: connect...connection refused",
				`problem server-down  acme: cannot be used: connect...connection refused; it is tried again by itself; "ftpferry doctor acme"`, "exit code 0",
			},
			metrics: []string{`ftpferry_server_state{server="acme",state="paused"} 1`, `ftpferry_sync_stopped{by="pause",sync="site"} 1`, `ftpferry_server_problems{kind="server-down",server="acme"} 1`, `ftpferry_errors_total{class="unavailable",server="acme"}`},
			log:     []string{`"level":"WARN","msg":"paused","server":"acme","reason":"connect...connection refused; next try in`},
			alerts:  []string{`problem server-down/acme: server acme: cannot be used: connect...connection refused; it is tried again by itself`},
			history: []string{"paused connect...connection refused"},
			events:  []string{"paused...connection refused; next try in"},
		},
		cure: func(d *day) { d.server.SetDown(false) },
		after: words{
			status:  []string{"server acme: idle"},
			log:     []string{`"level":"INFO","msg":"cleared","server":"acme","reason":"the server can be used again, after `},
			alerts:  []string{`recovered server-down/acme: over, after...server acme: cannot be used: connect`},
			history: []string{"working again connect"},
			events:  []string{"cleared...the server can be used again, after"},
		},
	},
	{
		name: "the password was changed at the server", lasts: 20 * time.Minute, silent: true,
		begin: func(d *day) {
			d.refuses("PASS right", "530 Login incorrect.")
			d.server.SetDown(true) // so that there are new connections
			d.server.SetDown(false)
		},
		during: words{
			status:  []string{"sync site: block: login: 530 Login incorrect.", "server acme: blocked: login: 530 Login incorrect.", "problem blocked  acme: needs a person: login: 530 Login incorrect.; it is not tried again until its configuration changes", "exit code 1"},
			metrics: []string{`ftpferry_server_state{server="acme",state="blocked"} 1`, `ftpferry_sync_stopped{by="block",sync="orders"} 1`, `ftpferry_server_problems{kind="blocked",server="acme"} 1`, `ftpferry_errors_total{class="authentication",server="acme"} 1`},
			log: []string{
				`"level":"ERROR","msg":"alert","server":"acme","reason":"login: 530 Login incorrect.; not tried again until`,
				`"level":"WARN","msg":"no heartbeat while something is wrong","reason":"server acme needs a person: login: 530 Login incorrect."`,
			},
			alerts:  []string{`problem blocked/acme: server acme: needs a person: login: 530 Login incorrect; it is not tried again until its configuration changes, or until "ftpferry queue retry --sync orders"`},
			history: []string{"blocked connect...login: 530 Login incorrect."},
			events:  []string{"alert...login: 530 Login incorrect."},
		},
		cure: func(d *day) {
			d.password = "another"
			if _, err := d.agent.Reconfigure(d.t.Context(), d.load()); err != nil {
				d.t.Error(err)
			}
		},
		after: words{
			log: []string{
				`"msg":"the configuration is in force"..."changes":4`, `"msg":"cleared","server":"acme","reason":"the server can be used again, after 1`, `"msg":"heartbeats go on"`,
			},
			alerts:  []string{"recovered blocked/acme: over, after...needs a person: login: 530 Login incorrect"},
			history: []string{"working again connect"},
			events:  []string{"cleared...the server can be used again"},
		},
	},
	{
		name: "a quota at the server is used up", lasts: 40 * time.Minute,
		begin: func(d *day) {
			d.refuses("STOR", "552 Quota exceeded.")
			d.put("site/big", "x")
		},
		during: words{
			status:  []string{"sync site: full: store...552 Quota exceeded.", "server acme: full: store...552 Quota exceeded.", "problem full  acme: no room for what is sent: store...552 Quota exceeded.; transfers wait, and go on by themselves", "exit code 0"},
			metrics: []string{`ftpferry_server_state{server="acme",state="full"} 1`, `ftpferry_sync_stopped{by="full",sync="site"} 1`, `ftpferry_jobs{state="retrying",sync="site"} 1`, `ftpferry_server_problems{kind="full",server="acme"} 1`},
			log:     []string{`"level":"ERROR","msg":"alert","sync":"site","server":"acme","action":"upload","path":"big","reason":"store...552 Quota exceeded.; transfers wait, next try in 15m0s"`},
			alerts:  []string{"problem full/acme: server acme: no room for what is sent: store...552 Quota exceeded; transfers wait, and go on by themselves when there is room"},
			history: []string{"full transfer...552 Quota exceeded."},
			events:  []string{"alert site big...transfers wait"},
		},
		cure: func(d *day) { d.refuses("STOR", "") },
		after: words{
			log:     []string{`"msg":"cleared","server":"acme","reason":"there is room again, after`},
			alerts:  []string{"recovered full/acme: over, after...no room for what is sent"},
			history: []string{"working again transfer", "done upload site big"},
			events:  []string{"cleared...there is room again"},
		},
	},
	{
		name: "the local disk is full", lasts: 40 * time.Minute,
		begin: func(d *day) { d.server.Put("/orders/big.bin", strings.Repeat("x", 1<<21), time.Now()) },
		during: words{
			status:  []string{"sync orders: full: write ...no space left on device", "problem full orders acme: no room for what is fetched: write...no space left on device; transfers wait", "server acme: idle"},
			metrics: []string{`ftpferry_sync_stopped{by="full",sync="orders"} 1`, `ftpferry_sync_problems{kind="full",sync="orders"} 1`},
			log:     []string{`"level":"ERROR","msg":"alert","sync":"orders"..."path":"big.bin","reason":"write...no space left on device; transfers wait`},
			alerts:  []string{"problem full/sync/orders: sync orders, server acme: no room for what is fetched: write...no space left on device; transfers wait"},
			history: []string{"full transfer orders...no space left on device"},
			events:  []string{"alert orders big.bin...no space left on device"},
		},
		cure: func(d *day) { ftptest.RemountTmpfs(d.t, d.disk, 64<<20, false) },
		after: words{
			log:     []string{`"msg":"cleared","sync":"orders","server":"acme","reason":"there is room again`},
			alerts:  []string{"recovered full/sync/orders: over"},
			history: []string{"working again transfer orders", "done download orders big.bin"},
		},
	},
	{
		name: "a file is refused for good", lasts: 40 * time.Minute,
		begin: func(d *day) {
			d.refuses("dead.", "553 Not allowed.")
			d.put("site/dead", "x")
		},
		during: words{
			status:  []string{"sync site: needs a person", "problem dead site acme: a job waits for a person: upload dead: store...553 Not allowed.; \"ftpferry queue --sync site --state dead\" lists", "exit code 1"},
			metrics: []string{`ftpferry_jobs{state="dead",sync="site"} 1`, `ftpferry_sync_problems{kind="dead",sync="site"} 1`, `ftpferry_transfers_total{direction="up",result="dead",sync="site"} 1`},
			log:     []string{`"level":"ERROR","msg":"dead","sync":"site"..."path":"dead","reason":"store...553 Not allowed.`},
			alerts:  []string{"problem dead/site: sync site, server acme: a job waits for a person: upload dead: store...553 Not allowed; \"ftpferry queue"},
			history: []string{"failed upload site dead store...553 Not allowed.", "dead upload site dead store...553 Not allowed."},
			events:  []string{"dead site dead store...553 Not allowed."},
		},
		cure: func(d *day) {
			d.refuses("dead.", "")
			if changed, err := d.agent.Current().RetryJobs(d.t.Context(), control.JobFilter{State: "dead"}); err != nil || changed.Jobs != 1 {
				d.t.Error(changed, err)
			}
		},
		after: words{
			log:     []string{`"msg":"done","sync":"site","server":"acme","action":"upload","path":"dead"`},
			alerts:  []string{"recovered dead/site: over, after...a job waits for a person: upload dead"},
			history: []string{"done upload site dead"},
		},
	},
	{
		name: "the file of the morning does not come", lasts: 15 * time.Minute,
		begin: func(*day) { until(6, 0) },
		during: words{
			status:  []string{"problem absence orders acme: expected files are missing (*.csv by 06:00): 0 of 1 have arrived since 1999-12-31T06:00:00Z; \"ftpferry history --sync orders\"", "exit code 1"},
			metrics: []string{`ftpferry_sync_problems{kind="absence",sync="orders"} 1`},
			log:     []string{`"level":"ERROR","msg":"alert","sync":"orders","server":"acme","reason":"expected files are missing (*.csv by 06:00): 0 of 1`},
			alerts:  []string{"problem absence/orders/*.csv by 06:00: sync orders, server acme: expected files are missing (*.csv by 06:00): 0 of 1 have arrived"},
			events:  []string{"alert orders...expected files are missing"},
		},
		cure: func(d *day) { d.server.Put("/orders/today.csv", "1", time.Now()) },
		after: words{
			log:     []string{`"level":"INFO","msg":"cleared","sync":"orders","server":"acme","reason":"over: expected files are missing (*.csv by 06:00)`},
			alerts:  []string{"recovered absence/orders/*.csv by 06:00: over, after 2...expected files are missing"},
			history: []string{"done download orders today.csv"},
			events:  []string{"cleared orders...over: expected files are missing"},
		},
	},
	{
		name: "somebody deletes nearly everything", lasts: time.Hour, silent: true,
		begin: func(d *day) {
			for i := range 30 {
				d.remove(fmt.Sprint("site/", i))
			}
		},
		during: words{
			status:  []string{"sync site: halt: 30 files of 32 known paths would be deleted, more than max_delete allows", `problem halted site acme: halted: 30 files...; "ftpferry plan site" shows what it would do, "ftpferry approve site" lets it`, "exit code 1"},
			metrics: []string{`ftpferry_sync_stopped{by="halt",sync="site"} 1`, `ftpferry_halts_total{sync="site"} 1`, `ftpferry_sync_problems{kind="halted",sync="site"} 1`},
			log:     []string{`"level":"ERROR","msg":"halted","sync":"site","reason":"30 files of 32`, `"msg":"no heartbeat while something is wrong","reason":"sync site is halted"`},
			alerts:  []string{`problem halted/site: sync site, server acme: halted: 30 files of 32 known paths would be deleted, more than max_delete allows; "ftpferry plan site"`},
			history: []string{"halted guard site  30 files of 32"},
			events:  []string{"halted site...30 files of 32"},
		},
		cure: func(d *day) {
			if err := d.agent.Current().Approve(d.t.Context(), control.ApproveRequest{Syncs: []string{"site"}}); err != nil {
				d.t.Error(err)
			}
		},
		after: words{
			metrics: []string{`ftpferry_operations_total{action="delete_remote",result="done",sync="site"} 30`},
			log:     []string{`"level":"INFO","msg":"approved","sync":"site","server":"acme","reason":"a person lets it go on, after...30 files of 32`},
			alerts:  []string{"recovered halted/site: over, after...halted: 30 files of 32 known paths would be deleted, more than max_delete allows"},
			history: []string{"approved guard site  30 files of 32", "done delete_remote site 7"},
			events:  []string{"approved site"},
		},
	},
	{
		name: "a file is edited on both sides", lasts: 20 * time.Minute,
		begin: func(d *day) {
			d.put("shared/a", "here")
			d.server.Edit("/shared/a", "there, too")
		},
		during: words{
			status:  []string{"sync shared: needs a person", "conflict shared a: changed on both sides", `problem conflict shared acme: a conflict waits for a person, "a": changed on both sides...; "ftpferry explain shared PATH"`, "exit code 1"},
			metrics: []string{`ftpferry_sync_problems{kind="conflict",sync="shared"} 1`},
			log:     []string{`"level":"WARN","msg":"conflict","sync":"shared","path":"a","reason":"changed on both sides`},
			alerts:  []string{`problem conflict/shared: sync shared, server acme: a conflict waits for a person, "a": changed on both sides`},
			history: []string{"conflict plan shared a changed on both sides"},
			events:  []string{"conflict shared a changed on both sides"},
		},
		cure: func(d *day) { d.remove("shared/a") },
		after: words{
			alerts:  []string{`recovered conflict/shared: over, after...a conflict waits for a person, "a": changed on both sides`},
			history: []string{"done download shared a"},
		},
	},
	{
		name: "a folder of the server is locked", lasts: 40 * time.Minute,
		begin: func(d *day) {
			d.server.MakeDir("/orders/sub")
			d.refuses("/orders/sub", "550 Permission denied.")
		},
		during: words{
			status:  []string{"sync orders: needs a person", "unknown orders sub: cannot list remote folder: list /orders/sub: 550 Permission denied.", `problem unknown orders acme: a path cannot be looked at, nothing is done about it and what is in it, "sub": cannot list`, "exit code 1"},
			metrics: []string{`ftpferry_sync_problems{kind="unknown",sync="orders"} 1`},
			log:     []string{`"level":"WARN","msg":"unknown","sync":"orders","path":"sub","reason":"cannot list remote folder: list /orders/sub: 550 Permission denied."`},
			alerts:  []string{`problem unknown/orders: sync orders, server acme: a path cannot be looked at, nothing is done about it and what is in it, "sub": cannot list remote folder: list /orders/sub: 550 Permission denied; "ftpferry explain`},
			events:  []string{"unknown orders sub cannot list remote folder"},
		},
		cure:  func(d *day) { d.refuses("/orders/sub", "") },
		after: words{alerts: []string{"recovered unknown/orders: over, after"}},
	},
	{
		name: "a file rots on the server", lasts: time.Minute,
		begin: func(d *day) {
			until(12, 5)
			at := time.Now()
			d.server.Put("/shared/b", "12345", at)
			until(12, 25)
			d.server.Put("/shared/b", "54321", at)
			until(12, 34) // after the comparison
		},
		during: words{
			status:  []string{"sync shared: needs a person", "differs shared b: content on the server differs from the local file", "problem differs shared acme: a file differs under the same size and time, \"b\": content on the server differs", "exit code 1"},
			metrics: []string{`ftpferry_sync_problems{kind="differs",sync="shared"} 1`},
			log:     []string{`"level":"ERROR","msg":"alert","sync":"shared"..."path":"b","reason":"content on the server differs from the local file`},
			alerts:  []string{`problem differs/shared: sync shared, server acme: a file differs under the same size and time, "b": content on the server differs`},
			history: []string{"differs verify shared b content on the server differs"},
			events:  []string{"alert shared b content on the server differs"},
		},
		cure: func(d *day) { d.put("shared/b", "12345") }, // touched: so that is right
		after: words{
			alerts:  []string{"recovered differs/shared: over, after...a file differs"},
			history: []string{"done upload shared b"},
		},
	},
	{
		name: "the machine is off for two hours", lasts: 20 * time.Minute,
		begin: func(d *day) {
			if err := d.end(); err != nil {
				d.t.Error(err)
			}
			time.Sleep(2 * time.Hour)
			d.start()
		},
		during: words{
			status:  []string{"schedule site */10 * * * *: 11 left out", "exit code 0"},
			metrics: []string{`ftpferry_schedule_missed_total{schedule="*/10 * * * *",sync="site"} 11`},
			log: []string{
				`"level":"INFO","msg":"stopping"`,
				`"level":"WARN","msg":"missed","sync":"site","action":"sync","reason":"schedule */10 * * * *: 11 left out, as the agent did not run, the machine slept, or its clock was set; a run makes up for them now"`,
			},
			alerts: []string{
				"notice missed/orders: sync orders, server acme: schedule */10 * * * *: 11 left out, as the agent did not run", "notice missed/shared: ", "notice missed/site: ",
			},
			events: []string{"missed site...11 left out"},
		},
		cure: func(*day) {},
	},
	{
		name: "a person pauses a sync", lasts: 20 * time.Minute,
		begin: func(d *day) {
			if _, err := d.agent.Current().Pause(d.t.Context(), control.PauseRequest{SyncChoice: control.SyncChoice{Syncs: []string{"site"}}, By: "ann", Reason: "move of the disks"}); err != nil {
				d.t.Error(err)
			}
		},
		during: words{
			status:  []string{"sync site: paused: paused by ann at ", "exit code 0"},
			metrics: []string{`ftpferry_sync_stopped{by="paused",sync="site"} 1`},
			log:     []string{`"msg":"suspended","sync":"site","server":"acme","reason":"paused by ann at `},
			events:  []string{"suspended site...move of the disks"},
		},
		cure: func(d *day) {
			if _, err := d.agent.Current().Resume(d.t.Context(), control.ResumeRequest{SyncChoice: control.SyncChoice{Syncs: []string{"site"}}, By: "ann"}); err != nil {
				d.t.Error(err)
			}
		},
		after: words{log: []string{`"msg":"resumed","sync":"site"`}, events: []string{"resumed site"}},
	},
}
