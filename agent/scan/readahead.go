package scan

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/list"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// Lender lends connections that nobody else wants at the moment, for a walk that lists on several at a time. Its methods are safe for
// concurrent use.
type Lender interface {
	// Spare returns nil if there is none. What it returns has to be given back.
	Spare(ctx context.Context) (Conn, error)
	// Awaited reports whether somebody waits for a connection, who goes first.
	Awaited() bool
	Put(conn Conn)
	// Learned has those that are made from now on know what conn, which the walk has, has learned about the server.
	Learned(conn Conn)
	// Most is how many connections there may be beside that of the walk.
	Most() int
	// Login is about how long it takes until one more of them is there.
	Login() time.Duration
	// Wanted is how many of them so many transfers are going to have, once they are jobs; 0 where they are not to be begun.
	Wanted(transfers int) int
}

const (
	// mostAhead is how many entries of folders may be known ahead of the walk, and mostFoldersAhead how many folders. What is under way then comes
	// on top, up to mostInOne for each.
	mostAhead        = 5_000
	mostInOne        = 20_000
	mostFoldersAhead = 256
	// worthHelp is how much sooner a walk has to end for somebody to log in for it, beside what the login takes.
	worthHelp = 30 * time.Millisecond
)

// errLarge: a folder is too large to be kept until the walk comes to it.
var errLarge = errors.New("too many entries to be listed ahead")

// readAhead lists the folders to which the walk comes next, in its order, on connections that nobody else wants. It is not more than a
// help: whatever goes wrong with it is forgotten, and the walk asks itself when it comes there, so that errors are treated in one place.
type readAhead struct {
	lender Lender
	// path is the name of a folder on the server.
	path func(rel string) string
	// descends says which folders in one that was listed ahead are likely to be walked through. It is called on any goroutine.
	descends func(rel string) bool

	ctx    context.Context // of the walk
	cancel context.CancelFunc
	group  sync.WaitGroup // the helpers

	mu      sync.Mutex // guards following
	at      string     // the folder that the walk has come to
	sources sources    // folders of which subfolders are left to be listed
	known   map[string]*source
	ahead   map[string]*listedAhead
	held    int  // entries in ahead
	helpers int  // under way
	most    int  // how many there may be; fewer once connections were lost
	wanted  int  // connections that the transfers which were found so far are going to have
	off     bool // nothing is listed ahead any more
	// asked is how many folders the walk has listed itself, which took spent.
	asked int
	spent time.Duration
}

// listedAhead is a folder that was listed ahead of the walk, or is being listed.
type listedAhead struct {
	done     chan struct{} // closed when the rest is there
	listing  ftpclient.Listing
	err      error
	began    time.Time
	encoding string // of names, as far as the connection has found out
}

// source is a folder that was listed, with its subfolders in the order of the walk.
type source struct {
	folder string
	names  []string // those that are left
}

func (s *source) next() string { return within(s.folder, s.names[0]) }

// sources is a heap: the next folder of the walk comes from the first.
type sources []*source

func (s sources) Len() int           { return len(s) }
func (s sources) Less(i, j int) bool { return compareWalk(s[i].next(), s[j].next()) < 0 }
func (s sources) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *sources) Push(x any)        { *s = append(*s, x.(*source)) }
func (s *sources) Pop() any {
	last := (*s)[len(*s)-1]
	*s = (*s)[:len(*s)-1]
	return last
}

// compareWalk is the order in which a walk comes to folders: a folder is followed by what is in it.
func compareWalk(a, b string) int {
	for i := range min(len(a), len(b)) {
		switch {
		case a[i] == b[i]:
		case a[i] == '/':
			return -1
		case b[i] == '/':
			return 1
		default:
			return cmp.Compare(a[i], b[i])
		}
	}
	return cmp.Compare(len(a), len(b))
}

func newReadAhead(ctx context.Context, lender Lender, path func(string) string, descends func(string) bool) *readAhead {
	r := &readAhead{lender: lender, path: path, descends: descends, most: lender.Most(), known: map[string]*source{}, ahead: map[string]*listedAhead{}}
	r.ctx, r.cancel = context.WithCancel(ctx)
	return r
}

// close ends what is under way, and waits for that.
func (r *readAhead) close() {
	if r == nil {
		return
	}
	r.cancel()
	r.group.Wait()
}

// offer says which folders of one that the walk is in it comes to next, in its order, and how many transfers it has found.
func (r *readAhead) offer(folder string, names []string, transfers int) {
	wanted := r.lender.Wanted(transfers)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wanted = wanted
	r.add(folder, names)
	r.hire()
}

// add is offer, with the lock held.
func (r *readAhead) add(folder string, names []string) {
	if old := r.known[folder]; old != nil {
		r.sources = slices.DeleteFunc(r.sources, func(s *source) bool { return s == old })
		heap.Init(&r.sources)
		delete(r.known, folder)
	}
	if len(names) == 0 {
		return
	}
	s := &source{folder, names}
	r.known[folder] = s
	heap.Push(&r.sources, s)
}

// hire has as many helpers work as there is work for, with the lock held. Where they cannot get a connection they end at once.
func (r *readAhead) hire() {
	for left := r.left(); !r.off && r.helpers < min(r.most, left) && r.hasRoom() && r.isWorthIt(left); {
		r.helpers++
		r.group.Go(r.help)
	}
}

// left is how many folders there are to be listed, as far as is known.
func (r *readAhead) left() (n int) {
	for _, s := range r.sources {
		n += len(s.names)
	}
	return n
}

// isWorthIt reports whether one more helper saves more than its login takes, if all who list share evenly what is left, or logs in for what
// would need that connection anyway.
func (r *readAhead) isWorthIt(left int) bool {
	if r.asked == 0 || r.helpers < r.wanted {
		return r.asked > 0
	}
	alone, listing := time.Duration(left)*(r.spent/time.Duration(r.asked)), time.Duration(r.helpers+1)
	return alone/(listing*(listing+1)) > r.lender.Login()+worthHelp
}

// took notes how long the walk itself had to wait for a folder.
func (r *readAhead) took(time time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	r.spent += time
}

func (r *readAhead) hasRoom() bool { return r.held < mostAhead && len(r.ahead) < mostFoldersAhead }

// help lists ahead as long as there is something to list, and nobody else wants the connection.
func (r *readAhead) help() {
	conn, err := r.lender.Spare(r.ctx)
	if conn == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.helpers--
		r.off = r.off || err != nil && ftpclient.Classify(err) != ftpclient.ClassBusy
		return
	}
	defer r.lender.Put(conn)
	for {
		rel, l := r.take(conn)
		if l == nil {
			return
		}
		r.list(r.ctx, conn, rel, l)
	}
}

// take begins the next folder, nil if the helper is to end.
func (r *readAhead) take(conn Conn) (rel string, l *listedAhead) {
	awaited := r.lender.Awaited()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !conn.Usable() {
		r.most--
	}
	if conn.Usable() && !awaited && r.helpers <= r.most && r.ctx.Err() == nil {
		rel, l = r.begin()
	}
	if l == nil {
		r.helpers--
	}
	return rel, l
}

// begin takes the next folder, with the lock held; nil if there is none.
func (r *readAhead) begin() (rel string, l *listedAhead) {
	for !r.off && r.hasRoom() && len(r.sources) > 0 {
		s := r.sources[0]
		rel := s.next()
		r.skip(s)
		if compareWalk(rel, r.at) <= 0 || r.ahead[rel] != nil {
			continue
		}
		l := &listedAhead{done: make(chan struct{}), began: time.Now()}
		r.ahead[rel] = l
		return rel, l
	}
	return "", nil
}

// skip takes the first name from the first source.
func (r *readAhead) skip(s *source) {
	if s.names = s.names[1:]; len(s.names) > 0 {
		heap.Fix(&r.sources, 0)
		return
	}
	heap.Pop(&r.sources)
	delete(r.known, s.folder)
}

// list asks the server, and keeps what it says.
func (r *readAhead) list(ctx context.Context, conn Conn, rel string, l *listedAhead) {
	l.listing, l.err = listNext(ctx, conn, r.path(rel))
	l.encoding = conn.Facts().Encoding
	_, noData := errors.AsType[*ftpclient.DataError](l.err)
	r.mu.Lock()
	defer r.mu.Unlock()
	close(l.done)
	entries := len(l.listing.Entries)
	if entries > mostInOne {
		l.listing, l.err, entries = ftpclient.Listing{}, errLarge, 0
	}
	// All ways to a data connection take seconds, and several folders of that size too much room.
	r.off = r.off || noData || errors.Is(l.err, errLarge) || errors.Is(l.err, ftpclient.ErrIncomplete)
	switch {
	case r.ahead[rel] != l: // the walk is past it
		return
	case l.err != nil:
		if ftpclient.Classify(l.err) == ftpclient.ClassBusy && conn.Usable() {
			r.most--
		}
		return
	}
	r.held += entries
	r.add(rel, r.subfolders(rel, l.listing))
	r.hire()
}

// subfolders of a folder that was listed ahead.
func (r *readAhead) subfolders(folder string, l ftpclient.Listing) (names []string) {
	for _, e := range l.Entries {
		if e.Type == list.Dir && r.descends(within(folder, e.Name)) {
			names = append(names, e.Name)
		}
	}
	slices.Sort(names)
	return names
}

// get is for the walk, which has come to the folder rel: it returns what was listed ahead, or nil if the walk has to ask itself. While
// that is under way on another connection, that of the walk is used for what comes behind.
func (r *readAhead) get(ctx context.Context, conn Conn, rel string) *listedAhead {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pass(rel)
	l := r.ahead[rel]
	if l == nil {
		r.hire()
		return nil
	}
	for !isOver(l) && ctx.Err() == nil {
		r.meanwhile(ctx, conn, l)
	}
	r.forget(rel)
	r.hire()
	if !isOver(l) || l.err != nil || l.listing.Incomplete != "" || l.encoding != "" && l.encoding != conn.Facts().Encoding {
		return nil
	}
	return l
}

// meanwhile lists another folder until l is there, or waits for that if there is none. It is called with the lock held, and gives it away.
func (r *readAhead) meanwhile(ctx context.Context, conn Conn, l *listedAhead) {
	rel, other := "", (*listedAhead)(nil)
	if conn.Usable() {
		rel, other = r.begin()
	}
	r.mu.Unlock()
	defer r.mu.Lock()
	if other != nil {
		r.list(ctx, conn, rel, other)
		return
	}
	select {
	case <-l.done:
	case <-ctx.Done():
	}
}

func isOver(l *listedAhead) bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// pass forgets what the walk has left behind without coming to it, with the lock held.
func (r *readAhead) pass(rel string) {
	r.at = rel
	for len(r.sources) > 0 && compareWalk(r.sources[0].next(), rel) <= 0 {
		r.skip(r.sources[0])
	}
	for other := range r.ahead {
		if compareWalk(other, rel) < 0 {
			r.forget(other)
		}
	}
}

// forget takes a folder out of those that are ahead, with the lock held.
func (r *readAhead) forget(rel string) {
	l := r.ahead[rel]
	delete(r.ahead, rel)
	if isOver(l) {
		r.held -= len(l.listing.Entries)
	}
}

// comesTo tells the read-ahead what the walk comes to in a folder: its subfolders on the server, without those that were passed or
// take no part.
func (w *walker) comesTo(folder string, far []Named, f *frame) {
	remote := w.request.Remote
	if remote == nil || remote.ahead == nil {
		return
	}
	var names []string
	for _, e := range far {
		if e.Kind == entry.Dir && !f.passed(e.Name) && !IsTemp(e.Name) && !w.excluded(within(folder, e.Name), true) {
			names = append(names, e.Name)
		}
	}
	remote.ahead.offer(folder, names, w.transfersFound())
}

// mostCounted is more transfers than there are connections for.
const mostCounted = 64

// transfersFound is how many of the operations that were found last are transfers. There are none in a plan that is not carried out, as far as
// that is seen by now.
func (w *walker) transfersFound() (n int) {
	atTheEnd := func(int, int) bool { return true } // it is seen whether its deletions are too many
	if plan.Guard(w.result.Totals, plan.Limits{AllowsDeletes: atTheEnd}) != nil {
		return 0
	}
	ops := w.result.Plan.Ops
	for _, op := range ops[max(0, len(ops)-mostCounted):] {
		if op.Action == plan.Upload || op.Action == plan.Download {
			n++
		}
	}
	return n
}

// lists has the folders of the server listed ahead, on what connections can be had, unless it is known which ones need not be listed.
func (r *Request) lists(ctx context.Context) (done func()) {
	if r.Remote == nil || r.Lender == nil || r.Paths != nil || r.Folders != nil && r.Folders.Spare || r.Lender.Most() < 1 {
		return func() {}
	}
	filter, temp := r.Filter, r.TempFolder
	descends := func(rel string) bool { return !IsTemp(rel) && !isIn(rel, temp) && !filter.Excluded(rel, true) }
	remote := *r.Remote
	remote.ahead = newReadAhead(ctx, r.Lender, remote.Path, descends)
	r.Remote = &remote
	return remote.ahead.close
}

// listNext lists one of many folders, which takes fewer round trips than one alone where the connection can do that.
func listNext(ctx context.Context, conn Conn, p string) (ftpclient.Listing, error) {
	if ahead, ok := conn.(interface {
		ListAhead(ctx context.Context, path string, more bool) (ftpclient.Listing, error)
	}); ok {
		return ahead.ListAhead(ctx, p, true) // most likely; if not, a port that was opened in vain closes soon
	}
	return conn.List(ctx, p)
}

// list lists a folder that the walk has come to. What was listed before a job has written down something in it may not be what both
// sides have agreed on.
func (r *Remote) list(ctx context.Context, rel string, base []state.Baseline) (ftpclient.Listing, error) {
	if r.ahead == nil {
		return listNext(ctx, r.Conn, r.Path(rel))
	}
	l := r.ahead.get(ctx, r.Conn, rel)
	if l != nil && !slices.ContainsFunc(base, func(row state.Baseline) bool { return !row.When.Before(l.began) }) {
		return l.listing, nil
	}
	began := time.Now()
	listing, err := listNext(ctx, r.Conn, r.Path(rel))
	r.ahead.took(time.Since(began))
	r.ahead.lender.Learned(r.Conn)
	return listing, err
}
