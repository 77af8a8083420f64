package ftpclient_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/extip"
)

// natClientVariable is set in processes that are a client on some host of a laboratory, and not the tests.
const natClientVariable = "FTPFERRY_NAT_CLIENT"

// natTask is what a client has to do, as JSON on its standard input.
type natTask struct {
	Address, User, Password string
	CAFile                  string
	Data                    ftpclient.DataOptions // Locator is made here
	STUN                    []string
	Memory                  extip.Memory
	Transfers               []natTransfer
	// InTurn has one transfer after the other, and not all at once.
	InTurn bool
	// Look is the local address from which sources are asked for the external one at the end, the zero Addr for none.
	Look netip.Addr
}

// natTransfer is one file on one connection of its own.
type natTransfer struct {
	Name   string // on the server
	Upload bool
	// Fresh uploads go under a new name, and are renamed then. Guarded says that over the file itself they are refused.
	Fresh, Guarded bool
	TLS            bool
	Bytes          []byte // to upload
	Facts          ftpclient.Facts
}

// natOutcome is what became of a transfer.
type natOutcome struct {
	Took  time.Duration // from the dialling to the verdict
	Bytes []byte        // downloaded
	Error string        // "" if all went well
	Local string        // end of the data connection, "" without one
	Peer  string
	Facts ftpclient.Facts
}

// natReport is what a client prints, as JSON.
type natReport struct {
	Outcomes []natOutcome
	Memory   extip.Memory
	// Seen is the external address by source, or the source's error.
	Seen map[string]string
}

// beNATClient does a task instead of the tests, in a process that was started for one.
func beNATClient() {
	var task natTask
	if err := json.NewDecoder(os.Stdin).Decode(&task); err != nil {
		fmt.Fprintf(os.Stderr, "task: %v\n", err)
		os.Exit(1)
	}
	report, err := task.run()
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(report)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (task natTask) run() (natReport, error) {
	report := natReport{Outcomes: make([]natOutcome, len(task.Transfers)), Memory: task.Memory}
	options, err := task.options()
	if err != nil {
		return report, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	options.Data.Locator = extip.NewLocator(extip.Options{
		Gateway: true, STUN: task.STUN, Memory: task.Memory,
		Save: func(m extip.Memory) error { report.Memory = m; return nil },
	})
	var locating, working sync.WaitGroup
	locating.Go(func() { options.Data.Locator.Run(ctx) })
	for i, transfer := range task.Transfers {
		one := func() { report.Outcomes[i] = transfer.run(ctx, task.Address, options) }
		if task.InTurn {
			one()
		} else {
			working.Go(one)
		}
	}
	working.Wait()
	if task.Look.IsValid() {
		report.Seen = map[string]string{}
		findings, failures := options.Data.Locator.Findings(ctx, task.Look)
		for _, finding := range findings {
			report.Seen[finding.Source] = finding.Address.String()
		}
		for source, err := range failures {
			report.Seen[source] = err.Error()
		}
	}
	cancel()
	locating.Wait()
	return report, nil
}

func (task natTask) options() (ftpclient.Options, error) {
	pool, err := ftpclient.LoadCAFile(task.CAFile)
	if err != nil {
		return ftpclient.Options{}, err
	}
	return ftpclient.Options{
		User: task.User, Password: task.Password, Data: task.Data,
		TLSConfig: &tls.Config{RootCAs: pool, ServerName: "localhost"},
	}, nil
}

func (x natTransfer) run(ctx context.Context, address string, o ftpclient.Options) (outcome natOutcome) {
	o.Facts, o.TLS = x.Facts, ftpclient.TLSNone
	if x.TLS {
		o.TLS = ftpclient.TLSExplicit
	}
	start := time.Now()
	err := func() error {
		conn, err := ftpclient.Dial(ctx, address, o)
		if err != nil {
			return err
		}
		defer func() {
			outcome.Took, outcome.Facts = time.Since(start), conn.Facts()
			conn.Close()
		}()
		transfer, err := x.start(ctx, conn)
		if err != nil {
			return err
		}
		if x.Upload {
			_, err = transfer.ReadFrom(bytes.NewReader(x.Bytes))
		} else {
			outcome.Bytes, err = io.ReadAll(transfer)
		}
		result, finishing := transfer.Finish(ctx)
		outcome.Local, outcome.Peer = result.Local.String(), result.Peer.String()
		if finishing != nil {
			err = finishing
		}
		if err == nil && x.Fresh {
			err = conn.Rename(ctx, x.Name+freshSuffix, x.Name)
		}
		return err
	}()
	if err != nil {
		outcome.Error = err.Error()
	}
	return outcome
}

const freshSuffix = ".new"

func (x natTransfer) start(ctx context.Context, conn *ftpclient.Conn) (*ftpclient.Transfer, error) {
	switch {
	case x.Fresh:
		if x.Guarded {
			if _, err := conn.Store(ctx, x.Name, 0); !errors.Is(err, ftpclient.ErrOverwrite) {
				return nil, fmt.Errorf("over the file that is there: %w, want %w", err, ftpclient.ErrOverwrite)
			}
		}
		return conn.Store(ctx, x.Name+freshSuffix, 0)
	case x.Upload:
		return conn.Store(ctx, x.Name, 0)
	}
	return conn.Retrieve(ctx, x.Name, 0)
}
