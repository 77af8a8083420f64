package work

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding"
	"fmt"
	"hash"
	"io"

	"github.com/ftpferry/ftpferry/state"
)

// sent is what proves that a file begins with the bytes that went to the server: an io.Writer that takes them in their order.
type sent struct {
	size    int64
	running hash.Hash
	first   []byte // state.AppendedBlock at most
	last    []byte // as many, or a few more
}

func newSent() *sent { return &sent{running: sha256.New()} }

func (s *sent) Write(p []byte) (int, error) {
	const block = state.AppendedBlock
	s.running.Write(p)
	s.size += int64(len(p))
	s.first = append(s.first, p[:min(len(p), block-len(s.first))]...)
	s.last = append(s.last, p[max(0, len(p)-block):]...)
	s.last = append(s.last[:0], s.last[max(0, len(s.last)-block):]...)
	return len(p), nil
}

// row is what is written down of it for the source with this entry.ID.
func (s *sent) row(id uint64) (*state.Appended, error) {
	marshaler, ok := s.running.(encoding.BinaryMarshaler)
	if !ok {
		return nil, fmt.Errorf("keep the state of a hash: %T has none", s.running)
	}
	running, err := marshaler.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("keep the state of a hash: %w", err)
	}
	first, last := sha256.Sum256(s.first), sha256.Sum256(s.last)
	return &state.Appended{Size: s.size, ID: id, Running: running, First: first[:], Last: last[:]}, nil
}

// beginsAs returns what is needed to go on with row if file, of which there must be as many bytes, begins with what was sent;
// nil if it does not. all has every byte looked at, and not only those at both ends.
func beginsAs(ctx context.Context, file io.ReaderAt, row state.Appended, all bool) (*sent, error) {
	s := newSent()
	for _, end := range []struct {
		kept *[]byte
		from int64
		want []byte
	}{
		{&s.first, 0, row.First},
		{&s.last, max(0, row.Size-state.AppendedBlock), row.Last},
	} {
		bytesThere := make([]byte, min(row.Size, state.AppendedBlock))
		if n, err := file.ReadAt(bytesThere, end.from); n < len(bytesThere) {
			return nil, fmt.Errorf("read what was sent before: %w", err)
		}
		if sum := sha256.Sum256(bytesThere); !bytes.Equal(sum[:], end.want) {
			return nil, nil
		}
		*end.kept = bytesThere
	}
	unmarshaler, ok := s.running.(encoding.BinaryUnmarshaler)
	if !ok || unmarshaler.UnmarshalBinary(row.Running) != nil {
		return nil, nil
	}
	if all {
		now := sha256.New()
		if n, err := copyAll(ctx, now, io.NewSectionReader(file, 0, row.Size)); err != nil || n < row.Size {
			return nil, fmt.Errorf("read what was sent before: %w", err)
		}
		if !bytes.Equal(now.Sum(nil), s.running.Sum(nil)) {
			return nil, nil
		}
	}
	s.size = row.Size
	return s, nil
}

// upTo takes further bytes of file, up to size.
func (s *sent) upTo(ctx context.Context, file io.ReaderAt, size int64) error {
	_, err := copyAll(ctx, s, io.NewSectionReader(file, s.size, size-s.size))
	if err == nil && s.size < size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("read the local file: %w", err)
	}
	return nil
}
