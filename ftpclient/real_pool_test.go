package ftpclient_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// Everybody gets a connection in the end, whatever the server takes: of many who ask at the
// same time, who leave the line, and who give connections back broken.
func TestPoolOnRealServers(t *testing.T) {
	t.Parallel()
	for _, name := range ftptest.RealServers {
		for _, clients := range []int{1, 3} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				server := ftptest.Real(t, name, ftptest.RealOptions{MaxClients: clients})
				o := ftpclient.Options{User: server.User, Password: server.Password, TLS: ftpclient.TLSNone}
				pool := ftpclient.NewPool(server.Addr, o, ftpclient.PoolOptions{Max: 6})
				first, err := pool.Get(t.Context())
				for ftpclient.Classify(err) == ftpclient.ClassBusy { // vsftpd still counts who saw that it greets
					first, err = pool.Get(t.Context())
				}
				if err != nil {
					t.Fatal(err)
				}
				pool.Put(first)
				var workers sync.WaitGroup
				var lent, most, left atomic.Int64
				for i := range 40 {
					workers.Go(func() {
						for j := range 5 {
							ctx, cancel := context.WithCancel(t.Context())
							if impatient := i%4 == 0; impatient {
								ctx, cancel = context.WithTimeout(t.Context(), time.Duration(rand.N(40))*time.Millisecond)
							}
							conn, err := pool.Get(ctx)
							if err != nil {
								if ctx.Err() == nil {
									t.Error(err)
								}
								left.Add(1)
								cancel()
								continue
							}
							n := lent.Add(1)
							for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
							}
							if err := conn.Noop(t.Context()); err != nil {
								t.Error(err)
							}
							lent.Add(-1) // first, as the server may let another one in for what is closed
							if i == 1 && j%2 == 0 {
								conn.Close()
							}
							pool.Put(conn)
							cancel()
						}
					})
				}
				workers.Wait()
				facts := pool.Facts()
				t.Logf("%d at a time, limit %d, %d left the line", most.Load(), facts.ConnectionLimit, left.Load())
				if most.Load() > int64(clients) || facts.ConnectionLimit > clients {
					t.Errorf("%d at a time, limit %d, and the server takes %d", most.Load(), facts.ConnectionLimit, clients)
				}
				if err := pool.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
