package work

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/state/entry"
)

const (
	// segmentSlice is how much comes before a stream looks up.
	segmentSlice = 256 << 10
	// segmentSeam is how much each stream reads of the next segment, to be compared: servers ignore offsets.
	segmentSeam = 4 << 10
)

// errSeam: what two streams brought of the same place differs. Servers ignore offsets, and several of them stand behind one name.
var errSeam = errors.New("segments of the file do not fit together")

// Spares are connections that nobody else needs.
type Spares struct {
	// Most is how many streams one file may have; below 2 there are no segments.
	Most int
	// Idle is how many connections may be lent, and Wanted tells that somebody waits for one. Get lends one, which is given back by
	// the function that comes with it.
	Idle   func() int
	Wanted func() bool
	Get    func(ctx context.Context) (*ftpclient.Conn, func(), error)

	decide func(since time.Duration, own, all float64, left int64) segmentStep // of tests: in place of segmentPace, on any line and after each slice
}

// segmentation is a download by several streams. The file itself is always a whole beginning: its stream writes to it, and the others
// to files of their own that bear no name, which are put behind it in order. So a program that is killed leaves what one
// stream would have left.
type segmentation struct {
	o       *op
	from    origin
	file    *os.File
	pace    segmentPace
	at      int64      // the file is whole up to here
	spans   []*segment // what others fetch of the rest, in order
	moved   atomic.Int64
	yielded atomic.Bool // they are to give their connections back
	streams sync.WaitGroup
	warm    chan struct{} // closed when connections for them are there, as far as any are to spare
	used    int           // segments that were joined

	looked     time.Time
	own, total int64         // at that time: what came to the file itself, and with what others have
	heldUp     time.Duration // until then, the stream of the file itself
}

// segment is a part of a file, at the end of which another one or that of the file stands. done is closed when its stream brings no more;
// nobody else looks at it before.
type segment struct {
	start, at, end int64
	file           *os.File // from its first byte on; nil if there is none
	seam           []byte   // the bytes behind its end, as far as there are any
	done           chan struct{}
}

// segments reports whether a download from offset on may be fetched in segments. The time of the file has to tell whether it is still the
// same: what only a listing tells to the minute does not.
func (o *op) segments(from origin, reread *rereader, offset int64) bool {
	spares := o.env.Spares
	return spares.Most > 1 && reread == nil && canUnlinkOpen && !from.look.ModTime.IsZero() && from.look.Precision <= time.Second && from.look.Size-offset >= leastSegmented &&
		(o.conn.Turn() >= shortLine || spares.decide != nil) && o.conn.TakesSegments()
}

// fetchSegments does what pour and Finish do, for the file from offset on, and opens further streams when one alone does not get
// faster, the connections are there, and the rest is large.
func (o *op) fetchSegments(ctx context.Context, from origin, transfer *ftpclient.Transfer, file *os.File, offset int64) (result ftpclient.Result, joined int, err error) {
	helping, cancel := context.WithCancelCause(ctx)
	s := &segmentation{o: o, from: from, file: file, at: offset, looked: time.Now(), own: offset, total: offset, pace: newSegmentPace(o.conn.Turn()), warm: make(chan struct{})}
	o.env.Live.beside(&s.moved)
	defer func() {
		cancel(ftpclient.ErrInterrupted)
		s.streams.Wait()
		s.drop()
	}()
	size, first := from.look.Size, true
	if o.conn.IsLimited() {
		close(s.warm) // a limit is likely to make them useless
	} else {
		s.warmUp(helping, size-offset)
	}
	began := time.Now()
	for end := size; ; {
		var seam []byte
		end, err = s.pour(helping, transfer, end, first)
		if err == nil && end < size {
			seam, err = readSeam(transfer, size-end)
		}
		switch {
		case err != nil:
			transfer.Abort(ctx)
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return result, s.used, err
		case end == size:
			last, err := transfer.Finish(ctx)
			if first {
				return last, s.used, err
			}
			last.Bytes, last.Duration = s.at-offset, time.Since(began)
			return last, s.used, err
		}
		first = false
		if result, end, err = s.stopAndJoin(ctx, transfer, seam); err != nil {
			return result, s.used, err
		}
		if s.at == size {
			result.Bytes, result.Duration, result.Confirmed = size-offset, time.Since(began), true
			return result, s.used, nil
		}
		if transfer, err = s.goOn(ctx); err != nil {
			return result, s.used, err
		}
	}
}

// stopAndJoin ends the stream of the file itself, which takes the server a round trip or two, and joins what others have brought meanwhile.
func (s *segmentation) stopAndJoin(ctx context.Context, transfer *ftpclient.Transfer, seam []byte) (result ftpclient.Result, end int64, err error) {
	var stopping sync.WaitGroup
	var stopErr error
	stopping.Go(func() { result, stopErr = transfer.Stop(ctx) })
	end, err = s.join(ctx, seam)
	stopping.Wait()
	if errors.Is(err, errSeam) {
		s.o.conn.LearnNoSegments()
	}
	return result, end, errors.Join(stopErr, err)
}

// pour is what the stream of the file itself does: it ends at end, or at what others have taken over meanwhile.
func (s *segmentation) pour(ctx context.Context, transfer *ftpclient.Transfer, end int64, mayFork bool) (int64, error) {
	for ; s.at < end; end = s.passOver(end) {
		n, err := transfer.ReceiveFile(s.file, min(segmentSlice, end-s.at))
		s.at += n
		if err != nil || n == 0 {
			return end, errors.Join(err, context.Cause(ctx))
		}
		s.yieldIfWanted()
		if !mayFork {
			s.moved.Add(n)
			continue
		}
		now := time.Now()
		since := now.Sub(s.looked)
		decide := s.o.env.Spares.decide
		if since < s.pace.every && decide == nil {
			continue
		}
		if decide == nil {
			decide = s.decide
		}
		if s.isHeldUp(transfer, since) {
			continue
		}
		total := s.at + s.moved.Load()
		own, all := float64(s.at-s.own)/since.Seconds(), float64(total-s.total)/since.Seconds()
		s.looked, s.own, s.total = now, s.at, total
		switch decide(since, own, all, end-s.at) {
		case segmentSplit:
			end = s.fork(ctx, own)
		case segmentJoin:
			s.o.env.Logger.Info("segments do not make the download faster", "path", s.o.Path)
			s.yielded.Store(true)
		}
	}
	if end == s.from.look.Size { // and not more than was announced
		if n, err := transfer.ReceiveFile(s.file, 1); err != nil || n > 0 {
			return end, errors.Join(err, grewBy(n))
		}
	}
	return end, nil
}

// isHeldUp reports whether the one stream there is could have been faster without a limit in the time since the last look: more of
// them would only share what that leaves. What was seen until then says nothing of the line.
func (s *segmentation) isHeldUp(transfer *ftpclient.Transfer, since time.Duration) bool {
	waited := transfer.HeldUp() - s.heldUp
	s.heldUp += waited
	if len(s.spans) > 0 || waited < since/4 {
		return false
	}
	s.looked, s.own, s.total, s.pace = time.Now(), s.at, s.at, newSegmentPace(s.pace.turn)
	return true
}

// passOver forgets the next segment if the file has come to it and nobody brings any of it: the stream of the file itself goes on, and has
// not to be started once more. It returns where that one ends then.
func (s *segmentation) passOver(end int64) int64 {
	for s.at == end && len(s.spans) > 0 && s.spans[0].fruitless() {
		end = s.spans[0].end
		s.forget(s.spans[0])
		s.spans = s.spans[1:]
	}
	return end
}

// fruitless reports whether the stream of a segment has ended before its first byte.
func (p *segment) fruitless() bool {
	select {
	case <-p.done:
		return p.at == p.start
	default:
		return false
	}
}

func grewBy(n int64) error {
	if n > 0 {
		return errGrew
	}
	return nil
}

// fork has spare connections fetch the end of the file, and returns where the stream of the file itself ends. That one gets as much
// more as comes before the others have begun.
func (s *segmentation) fork(ctx context.Context, rate float64) int64 {
	size := s.from.look.Size
	others := min(s.o.env.Spares.Most-1, s.o.env.Spares.Idle(), int((size-s.at)/(leastSegmented/4)))
	if others <= 0 {
		s.pace = newSegmentPace(s.pace.turn) // perhaps later
		return size
	}
	lead := min(int64(rate*(startTurns*s.pace.turn).Seconds()), (size-s.at)/2)
	share := (size - s.at - lead) / int64(others+1)
	s.o.env.Logger.Info("large download goes on in segments", "path", s.o.Path, "count", others+1)
	for i := range int64(others) {
		span := &segment{start: size - (int64(others)-i)*share, end: size - (int64(others)-i-1)*share, done: make(chan struct{})}
		span.at = span.start
		s.spans = append(s.spans, span)
		var err error
		if span.file, err = s.o.nameless(int(i) + 2); err != nil {
			s.o.env.Logger.Debug("no file for a segment", "path", s.o.Path, "error", err)
			close(span.done)
			continue
		}
		s.streams.Go(func() {
			end, err := s.fetch(ctx, span)
			if err != nil {
				s.o.env.Logger.Debug("segment ends early", "path", s.o.Path, "offset", span.at, "error", err)
			}
			close(span.done)
			end()
		})
	}
	return s.spans[0].start
}

// fetch brings a segment, or its beginning. An error is no matter: what is missing is fetched by the stream of the file. The connection
// is in step and given back when end has returned.
func (s *segmentation) fetch(ctx context.Context, span *segment) (end func(), err error) {
	conn, giveBack, err := s.o.env.Spares.Get(ctx)
	if err != nil {
		return func() {}, err
	}
	size := s.from.look.Size
	transfer, err := conn.RetrievePart(ctx, s.from.path, span.start, size)
	if ftpclient.Classify(err) == ftpclient.ClassOffset {
		conn.LearnNoSegments() // nor does it go on where a file was cut
	}
	if err != nil {
		return giveBack, err
	}
	abort := func() {
		transfer.Abort(ctx)
		giveBack()
	}
	for span.at < span.end {
		if s.yielded.Load() || ctx.Err() != nil {
			return abort, context.Cause(ctx)
		}
		n, err := transfer.ReceiveFile(span.file, min(segmentSlice, span.end-span.at))
		span.at += n
		s.moved.Add(n)
		if err != nil || n == 0 {
			return abort, errors.Join(err, io.ErrUnexpectedEOF)
		}
	}
	if span.end < size {
		if span.seam, err = readSeam(transfer, size-span.end); err != nil {
			span.at = span.start
		}
		return abort, err
	}
	// A server that has ignored the offset has more to send.
	n, err := io.ReadFull(transfer, make([]byte, 1))
	if n == 0 && errors.Is(err, io.EOF) {
		_, err = transfer.Finish(ctx)
	} else {
		err = errors.Join(err, errSeam)
	}
	if err != nil {
		span.at = span.start
	}
	return abort, err // which does nothing to what has ended
}

// readSeam reads what stands behind a segment, of which the file has left more bytes.
func readSeam(transfer *ftpclient.Transfer, left int64) ([]byte, error) {
	seam := make([]byte, min(segmentSeam, left))
	_, err := io.ReadFull(transfer, seam)
	return seam, err
}

// nameless opens a file beside the target that goes with the program.
func (o *op) nameless(number int) (*os.File, error) {
	name := scan.TempName(path.Base(o.Path)+"~"+strconv.Itoa(number), o.env.Instance, uint64(o.job.ID), o.job.Claims)
	name = filepath.FromSlash(path.Join(path.Dir(o.Path), name))
	file, err := o.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := o.root.Remove(name); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// join puts what the others have brought behind the file, up to the first byte that is missing. seam is what stood behind the file when its
// stream ended. end is where the next segment begins that is there, or the end of the file.
func (s *segmentation) join(ctx context.Context, seam []byte) (end int64, err error) {
	for len(s.spans) > 0 {
		next := s.spans[0]
		if err := s.await(ctx, next); err != nil {
			return 0, err
		}
		if err := next.fits(seam); err != nil {
			return 0, err
		}
		if err := s.append(next); err != nil {
			// There may be no room for two of it: one stream needs none.
			s.o.env.Logger.Info("segments cannot be joined, one stream goes on", "path", s.o.Path, "error", err)
			s.yielded.Store(true)
			s.streams.Wait()
			s.drop()
			return s.from.look.Size, s.o.place(s.file, s.at)
		}
		if next.at > next.start {
			s.used++
		}
		s.spans, seam = s.spans[1:], next.seam
		if s.at < next.end {
			return next.end, nil
		}
	}
	return s.from.look.Size, nil
}

// await waits until the stream of a segment has ended, and has all end when somebody else waits for a connection.
func (s *segmentation) await(ctx context.Context, next *segment) error {
	look := time.NewTicker(segmentLook)
	defer look.Stop()
	for {
		select {
		case <-next.done:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-look.C:
			s.yieldIfWanted()
		}
	}
}

func (s *segmentation) yieldIfWanted() {
	if s.o.env.Spares.Wanted() {
		s.yielded.Store(true)
	}
}

// fits compares the beginning of a segment with what the stream before has brought of it.
func (p *segment) fits(seam []byte) error {
	got := make([]byte, min(int64(len(seam)), p.at-p.start))
	if len(got) == 0 {
		return nil
	}
	if _, err := p.file.ReadAt(got, 0); err != nil {
		return fmt.Errorf("%w: %w", errLocalRead, err)
	}
	if !bytes.Equal(got, seam[:len(got)]) {
		return fmt.Errorf("%w at %d", errSeam, p.start)
	}
	return nil
}

// append copies a segment to the end of the file, within the system where that can do so, and gives its room free.
func (s *segmentation) append(next *segment) error {
	if next.at > next.start {
		if _, err := next.file.Seek(0, io.SeekStart); err != nil {
			return err
		}
		n, err := io.Copy(s.file, io.LimitReader(next.file, next.at-next.start))
		if err == nil && n < next.at-next.start {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
	}
	s.at = next.at
	return next.close()
}

func (p *segment) close() error {
	if p.file == nil {
		return nil
	}
	file := p.file
	p.file = nil
	return file.Close()
}

// drop forgets the segments that were not joined. Their streams have ended.
func (s *segmentation) drop() {
	for _, span := range s.spans {
		s.forget(span)
	}
	s.spans = nil
}

func (s *segmentation) forget(span *segment) {
	if err := span.close(); err != nil {
		s.o.env.Logger.Debug("segment not closed", "path", s.o.Path, "error", err)
	}
}

// goOn starts the stream of the file itself once more, where a segment did not come to its end. What there is already of the file
// shows whether the server does that right.
func (s *segmentation) goOn(ctx context.Context) (*ftpclient.Transfer, error) {
	if !s.o.conn.Usable() {
		if err := s.o.reconnect(ctx, errors.New("a stream was ended")); err != nil {
			return nil, err
		}
	}
	transfer, offset, err := s.resume(ctx, s.from.look.ModTime)
	if s.o.refusesToTell(err) { // its time is known from MLST, and MDTM is not there
		if err = s.unchanged(ctx); err == nil {
			transfer, offset, err = s.resume(ctx, time.Time{})
		}
	}
	if err == nil && offset != s.at {
		transfer.Abort(ctx)
		s.o.conn.LearnNoSegments()
		err = fmt.Errorf("%w at %d", errSeam, s.at)
	}
	if err != nil {
		return nil, err
	}
	return transfer, s.o.place(s.file, s.at)
}

func (s *segmentation) resume(ctx context.Context, modified time.Time) (*ftpclient.Transfer, int64, error) {
	return s.o.conn.ResumeRetrieve(ctx, s.from.path, s.from.look.Size, modified, s.file, s.at)
}

// unchanged looks at the remote file once more. Where that does not tell its time, this is no server for segments.
func (s *segmentation) unchanged(ctx context.Context) error {
	now, err := s.o.statRemote(ctx, s.from.path)
	if err == nil && (now.ModTime.IsZero() || !entry.Same(now, s.from.look)) {
		s.o.conn.LearnNoSegments()
		err = fmt.Errorf("%w: it is not known whether the file has changed", errSeam)
	}
	return err
}

// verifyJoined looks at more than the size of a file that came in segments, where the server computes a hash.
func (o *op) verifyJoined(ctx context.Context, p string, file *os.File, size int64, streams int) (how string, err error) {
	how, err = o.verifyHash(ctx, p, file, size)
	if errors.Is(err, errContent) {
		o.conn.LearnNoSegments()
	}
	if err != nil && !errors.Is(err, errContent) && o.env.Sync.Verify != VerifyHash && !o.conn.Usable() && ctx.Err() == nil {
		// Nobody has asked for more than the size, and to compute a hash may take the server longer than it has.
		how, err = string(VerifySize), o.reconnect(ctx, err)
	}
	return fmt.Sprintf("%s, in %d segments", how, streams), err
}
