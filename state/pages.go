package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// The form of the engine's pages, which is the same since its first version (bbolt, internal/common). The engine trusts
// what it reads: a page number that leads back up the tree makes it run until its stack is used up, and that ends the
// process. So the tree is checked here, by reading the file and not its memory map.
const (
	pageHeader   = 16 // number 8, kind 2, count 2, overflow 4
	pageElement  = 16
	metaLength   = 64
	metaMagic    = 0xED0CDAED
	metaVersion  = 2
	noFreelist   = ^uint64(0)
	kindBranch   = 0x01
	kindLeaf     = 0x02
	kindMeta     = 0x04
	kindFreelist = 0x10
	// bucketFlag marks an element of a leaf whose value is a table.
	bucketFlag = 0x01
	// deepest bounds the depth of a tree: with two elements on each page one of this depth fills any disk.
	deepest = 64
)

// metaPage is what the engine writes at the end of each commit.
type metaPage struct {
	root, freelist, end, transaction uint64
	pageSize                         int
}

// pageCheck walks the tree of tables.
type pageCheck struct {
	file     io.ReaderAt
	pageSize int
	end      uint64 // the number of pages
	// leaves: read all pages. Otherwise those of tables with rows alone are left out, which are nearly all.
	leaves  bool
	used    []bool
	problem func(string)
}

// checkPages calls problem for what is wrong with the pages of a file that nobody writes to. An error means that the file
// could not be read.
func checkPages(file *os.File, leaves bool, problem func(string)) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	meta, err := readMetaPage(file)
	if err != nil {
		return err
	}
	if meta == nil {
		problem("neither of the first two pages is sound")
		return nil
	}
	if size := info.Size() / int64(meta.pageSize); uint64(size) < meta.end {
		problem(fmt.Sprintf("the file is cut short: %d of its %d pages are there", size, meta.end))
		return nil
	}
	c := &pageCheck{file: file, pageSize: meta.pageSize, end: meta.end, leaves: leaves, used: make([]bool, meta.end), problem: problem}
	c.used[0], c.used[1] = true, true
	if err := c.tree(meta.root, true); err != nil {
		return err
	}
	return c.freelist(meta.freelist)
}

// readMetaPage returns the newer of the two that are sound, as the engine does; nil if there is none.
func readMetaPage(file io.ReaderAt) (*metaPage, error) {
	pageSize := 0
	var newest *metaPage
	// The size of a page is in the pages themselves. Without the first, look where the second can be.
	for _, offset := range []int64{0, 1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15, 1 << 16} {
		if pageSize > 0 && offset > 0 && offset != int64(pageSize) {
			continue
		}
		page := make([]byte, pageHeader+metaLength)
		if _, err := file.ReadAt(page, offset); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		meta := decodeMetaPage(page[pageHeader:])
		if meta == nil {
			continue
		}
		pageSize = meta.pageSize
		if newest == nil || meta.transaction > newest.transaction {
			newest = meta
		}
	}
	return newest, nil
}

func decodeMetaPage(b []byte) *metaPage {
	word := func(i int) uint32 { return binary.NativeEndian.Uint32(b[i:]) }
	long := func(i int) uint64 { return binary.NativeEndian.Uint64(b[i:]) }
	sum := fnv.New64a()
	_, _ = sum.Write(b[:metaLength-8]) // never fails (hash.Hash)
	if word(0) != metaMagic || word(4) != metaVersion || long(metaLength-8) != sum.Sum64() || word(8) < 1<<10 || word(8) > 1<<24 {
		return nil
	}
	return &metaPage{pageSize: int(word(8)), root: long(16), freelist: long(32), end: long(40), transaction: long(48)}
}

// take marks the pages from number on as used, and says whether they were there to take.
func (c *pageCheck) take(number, count uint64) bool {
	if number >= c.end || count > c.end-number {
		c.problem(fmt.Sprintf("page %d: there are only %d", number, c.end))
		return false
	}
	for i := number; i < number+count; i++ {
		if c.used[i] {
			c.problem(fmt.Sprintf("page %d: used twice", i))
			return false
		}
		c.used[i] = true
	}
	return true
}

// read returns a page that nobody has taken yet, with those that belong to it, and takes them; nil after a problem.
func (c *pageCheck) read(number uint64) ([]byte, error) {
	if !c.take(number, 1) {
		return nil, nil
	}
	page := make([]byte, c.pageSize)
	if _, err := c.file.ReadAt(page, int64(number)*int64(c.pageSize)); err != nil {
		return nil, fmt.Errorf("read page %d: %w", number, err)
	}
	if stored := binary.NativeEndian.Uint64(page); stored != number {
		c.problem(fmt.Sprintf("page %d: it says it is page %d", number, stored))
		return nil, nil
	}
	more := uint64(binary.NativeEndian.Uint32(page[12:]))
	if more == 0 || !c.take(number+1, more) {
		if more > 0 {
			return nil, nil
		}
		return page, nil
	}
	page = append(page, make([]byte, int(more)*c.pageSize)...)
	if _, err := c.file.ReadAt(page, int64(number)*int64(c.pageSize)); err != nil {
		return nil, fmt.Errorf("read page %d: %w", number, err)
	}
	return page, nil
}

// tree checks the tree of one table, or of the table of tables, whose leaves are always read.
func (c *pageCheck) tree(root uint64, top bool) error {
	depth := 0 // of the leaves, as the first one has it
	return c.page(root, 1, &depth, top)
}

func (c *pageCheck) page(number uint64, level int, depth *int, top bool) error {
	if level > deepest {
		c.problem(fmt.Sprintf("page %d: the tree is too deep", number))
		return nil
	}
	page, err := c.read(number)
	if err != nil || page == nil {
		return err
	}
	kind, count := binary.NativeEndian.Uint16(page[8:]), int(binary.NativeEndian.Uint16(page[10:]))
	if pageHeader+count*pageElement > len(page) {
		c.problem(fmt.Sprintf("page %d: %d elements are more than it can hold", number, count))
		return nil
	}
	switch kind {
	case kindBranch:
		if count == 0 {
			c.problem(fmt.Sprintf("page %d: a branch without elements", number))
		}
		return c.branch(page, number, count, level, depth, top)
	case kindLeaf:
		if *depth == 0 {
			*depth = level
		}
		return c.leaf(page, number, count)
	}
	c.problem(fmt.Sprintf("page %d: it is of kind %#x, which does not belong in a tree", number, kind))
	return nil
}

func (c *pageCheck) branch(page []byte, number uint64, count, level int, depth *int, top bool) error {
	for i := range count {
		at := pageHeader + i*pageElement
		position, length := binary.NativeEndian.Uint32(page[at:]), binary.NativeEndian.Uint32(page[at+4:])
		if uint64(at)+uint64(position)+uint64(length) > uint64(len(page)) {
			c.problem(fmt.Sprintf("page %d: the key of element %d lies outside", number, i))
			return nil
		}
		child := binary.NativeEndian.Uint64(page[at+8:])
		if *depth == level+1 && !c.leaves && !top {
			c.take(child, 1)
			continue
		}
		if err := c.page(child, level+1, depth, top); err != nil {
			return err
		}
	}
	return nil
}

func (c *pageCheck) leaf(page []byte, number uint64, count int) error {
	for i := range count {
		at := pageHeader + i*pageElement
		flags, position := binary.NativeEndian.Uint32(page[at:]), binary.NativeEndian.Uint32(page[at+4:])
		key, value := binary.NativeEndian.Uint32(page[at+8:]), binary.NativeEndian.Uint32(page[at+12:])
		end := uint64(at) + uint64(position) + uint64(key) + uint64(value)
		if end > uint64(len(page)) {
			c.problem(fmt.Sprintf("page %d: element %d lies outside", number, i))
			return nil
		}
		if flags&bucketFlag == 0 {
			continue
		}
		if err := c.table(page[end-uint64(value):end], number); err != nil {
			return err
		}
	}
	return nil
}

// table checks a value that says where the tree of a table begins, or holds its only page.
func (c *pageCheck) table(value []byte, number uint64) error {
	if len(value) < 16 {
		c.problem(fmt.Sprintf("page %d: a table's root is missing", number))
		return nil
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return c.tree(root, false)
	}
	page := value[16:]
	if len(page) < pageHeader || binary.NativeEndian.Uint16(page[8:]) != kindLeaf {
		c.problem(fmt.Sprintf("page %d: a small table is not whole", number))
		return nil
	}
	count := int(binary.NativeEndian.Uint16(page[10:]))
	if pageHeader+count*pageElement > len(page) {
		c.problem(fmt.Sprintf("page %d: a small table is not whole", number))
		return nil
	}
	return c.leaf(page, number, count)
}

// freelist checks the list of free pages: one that is in use would be written over.
func (c *pageCheck) freelist(number uint64) error {
	if number == noFreelist {
		return nil
	}
	page, err := c.read(number)
	if err != nil || page == nil {
		return err
	}
	if binary.NativeEndian.Uint16(page[8:]) != kindFreelist {
		c.problem(fmt.Sprintf("page %d: it is not the list of free pages", number))
		return nil
	}
	count, start := uint64(binary.NativeEndian.Uint16(page[10:])), uint64(pageHeader)
	if count == 0xffff { // the true number does not fit and comes first
		count, start = binary.NativeEndian.Uint64(page[start:]), start+8
	}
	if count > (uint64(len(page))-start)/8 {
		c.problem(fmt.Sprintf("page %d: a list of %d free pages does not fit", number, count))
		return nil
	}
	for i := range count {
		if !c.take(binary.NativeEndian.Uint64(page[start+8*i:]), 1) {
			return nil
		}
	}
	return nil
}
