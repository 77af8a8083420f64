package agent_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	browserpage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// shotsVariable names the environment variable with a folder for pictures of what the tests see, for people to look at.
const shotsVariable = "FTPFERRY_SHOTS"

// browser is one tab of a headless Chromium.
type browser struct {
	t   *testing.T
	tab context.Context

	mu       sync.Mutex // guards what follows
	asked    []string   // the addresses that were asked for
	problems []string   // that the browser has with the page
}

// newBrowser starts a Chromium that ends with the test.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	ftptest.Need(t, "chromium")
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	// The sandbox needs what containers and root do not have. All that is shown is a page of ours.
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU)
	starter, stop := chromedp.NewExecAllocator(context.Background(), options...)
	tab, closeTab := chromedp.NewContext(starter)
	b := &browser{t: t, tab: tab}
	t.Cleanup(func() {
		if err := chromedp.Cancel(tab); err != nil {
			t.Errorf("chromium: %v", err)
		}
		closeTab()
		stop()
	})
	if err := chromedp.Listen(tab, b.note); err != nil {
		t.Fatal(err)
	}
	return b
}

// note keeps what the browser tells.
func (b *browser) note(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.asked = append(b.asked, e.Request.URL)
	case *runtime.EventExceptionThrown:
		b.problems = append(b.problems, fmt.Sprintf("%s %+v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		b.problems = append(b.problems, fmt.Sprintf("console: %+v", e))
	case *log.EventEntryAdded:
		b.problems = append(b.problems, fmt.Sprintf("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL))
	case *browserpage.EventJavascriptDialogOpening:
		b.problems = append(b.problems, "a name of a file was run: "+e.Message)
	}
}

// mustHaveAskedOnly checks that nothing was asked for elsewhere, and that there were no problems.
func (b *browser) mustHaveAskedOnly(origin string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.asked) == 0 {
		b.t.Error("it is not known what was asked for")
	}
	for _, address := range b.asked {
		if !strings.HasPrefix(address, origin) {
			b.t.Errorf("asked for %s", address)
		}
	}
	for _, problem := range b.problems {
		b.t.Errorf("the browser says: %s", problem)
	}
}

func (b *browser) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.tab, actions...); err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

// says is what an expression in the page comes to, as text.
func (b *browser) says(expression string) string {
	b.t.Helper()
	text, err := chromedp.Run(b.tab, chromedp.Evaluate[string]("String("+expression+")"))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return text
}

// until waits for an expression in the page to be true.
func (b *browser) until(expression string) {
	b.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if b.says("Boolean("+expression+")") == "true" {
			return
		}
	}
	b.t.Fatalf("waited in vain for %s; the page says:\n%s", expression, b.says("document.body.innerText"))
}

// tabTo presses the tabulator until what has the focus fits, as a person without a mouse does.
func (b *browser) tabTo(fits string) {
	b.t.Helper()
	for range 300 {
		b.press(kb.Tab)
		if b.says("((e) => Boolean("+fits+"))(document.activeElement)") == "true" {
			return
		}
	}
	b.t.Fatalf("no way by the tabulator to %s", fits)
}

func (b *browser) press(keys string) {
	b.t.Helper()
	b.do("keys", chromedp.KeyEvent(keys))
}

// looks sets the size of the window and the colours that a person likes.
func (b *browser) looks(width int64, scheme string) {
	b.t.Helper()
	b.do("looks", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}
		if _, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
			return err
		}
		size := emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 900, DeviceScaleFactor: 1, Mobile: width < 500}
		_, err := cdp.Call(ctx, t, emulation.SetDeviceMetricsOverride, size)
		return err
	}))
}

// mustFit checks that nothing is wider than the window.
func (b *browser) mustFit(what string) {
	b.t.Helper()
	if wider := b.says("document.documentElement.scrollWidth - document.documentElement.clientWidth"); wider != "0" {
		b.t.Errorf("%s: the page is wider than the window by %s pixels", what, wider)
	}
	// What is cut off at an edge of the window, if not of something that scrolls.
	if cut := b.says(`[...document.querySelectorAll('main *')].filter((e) => e.getClientRects().length && !e.closest('.heard, thead, svg') && e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 200)).join('\n')`); cut != "" {
		b.t.Errorf("%s: cut off: %s", what, cut)
	}
}

// shot keeps a picture where somebody wants to look at it.
func (b *browser) shot(name string) {
	b.t.Helper()
	folder := os.Getenv(shotsVariable)
	if folder == "" {
		return
	}
	picture, err := chromedp.Run(b.tab, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o644); err != nil {
		b.t.Fatal(err)
	}
}
