package agent

import (
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
)

// eachKey calls use with each value of a struct that takeovers has, by its path, and with what it has not.
func eachKey(v reflect.Value, path string, use func(path string, v reflect.Value)) {
	_, known := takeovers[path]
	if known || v.Kind() != reflect.Struct || v.Type() == reflect.TypeFor[config.Secret]() {
		use(path, v)
		return
	}
	for i := range v.NumField() {
		eachKey(v.Field(i), strings.TrimPrefix(path+"."+v.Type().Field(i).Name, "."), use)
	}
}

// alter gives something another value.
func alter(t *testing.T, v reflect.Value) {
	t.Helper()
	switch value := v.Addr().Interface().(type) {
	case *config.Secret:
		*value = config.NewSecret(value.Reveal() + "x")
		return
	case *slog.Level:
		*value++
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Slice:
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Struct:
		for i := range v.NumField() {
			alter(t, v.Field(i))
		}
	default:
		t.Fatalf("how does a %s change?", v.Type())
	}
}

// TestEachKeyOfTheAgentIsTakenOver in a way that somebody has thought of, and what is under way goes on: a transfer that takes long is
// begun once. A new key of [agent] has to have its row in takeovers.
func TestEachKeyOfTheAgentIsTakenOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, func(queue.Job) work.Outcome { time.Sleep(20 * time.Minute); return done })
		seen := map[string]bool{}
		change := func(what string, alterIt func(*config.Config)) {
			began := time.Now()
			cfg := breakerConfig()
			alterIt(cfg)
			changes, err := b.agent.Reconfigure(t.Context(), cfg)
			if takeovers[what].how == refused {
				if what == "" || err == nil || !strings.Contains(err.Error(), "agent."+takeovers[what].key+": ") {
					t.Errorf("%q: %v, want a refusal that names the key", what, err)
				}
				if is := b.agent.onDisk.Load(); is == nil || is.err == nil {
					t.Errorf("%q: nobody is told", what)
				}
				return
			}
			if err != nil || changes != 0 || time.Since(began) > 0 || b.agent.Current().(*Agent).cfg != cfg {
				t.Errorf("%q: %d changes, %v, after %s", what, changes, err, time.Since(began))
			}
			if is := b.agent.onDisk.Load(); is == nil || is.err != nil {
				t.Errorf("%q: nobody is told that it is in force", what)
			}
		}
		b.adjust = func(cfg *config.Config) { cfg.Agent.AddressSources.STUN = []string{"127.0.0.1:1"} }
		b.served(func() {
			b.enqueue(string(plan.Upload), "up", b.now(), "large")
			synctest.Wait()
			change("AddressSources", func(cfg *config.Config) { b.adjust(cfg) }) // so that its change is none of the servers
			usual := b.adjust
			eachKey(reflect.ValueOf(&breakerConfig().Agent).Elem(), "", func(path string, _ reflect.Value) {
				if _, known := takeovers[path]; !known {
					t.Errorf("nobody knows how a running agent takes %s over: it needs a row in takeovers", path)
					return
				}
				seen[path] = true
				change(path, func(cfg *config.Config) {
					usual(cfg)
					eachKey(reflect.ValueOf(&cfg.Agent).Elem(), "", func(is string, v reflect.Value) {
						if is == path {
							alter(t, v)
						}
					})
				})
			})
			for _, field := range reflect.VisibleFields(reflect.TypeFor[config.Alert]()) {
				change("[alert] "+field.Name, func(cfg *config.Config) {
					usual(cfg)
					cfg.Alerts = map[string]*config.Alert{"box": {Name: "box", Command: []string{"true"}}}
					alter(t, reflect.ValueOf(cfg.Alerts["box"]).Elem().FieldByIndex(field.Index))
				})
			}
			time.Sleep(time.Hour)
			if tries := b.between(time.Time{}, time.Now(), "up"); len(tries) != 1 {
				t.Errorf("begun %d times", len(tries))
			}
		})
		for path := range takeovers {
			if !seen[path] {
				t.Errorf("there is no %s", path)
			}
		}
	})
}
