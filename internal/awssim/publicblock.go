package awssim

// publicBlock is EMR's block public access configuration of the account and region.
type publicBlock struct {
	block  bool
	ranges [][2]int // the ports that are exceptions
}

// defaultPublicBlock is what an account has that never changed it: blocked, port 22 excepted
// (EMR management guide, "Using Amazon EMR block public access").
func defaultPublicBlock() publicBlock {
	return publicBlock{block: true, ranges: [][2]int{{22, 22}}}
}

// SetPublicBlock changes EMR's block public access configuration: whether it blocks, and the ranges of
// ports (first, last) that are excepted.
func (s *Sim) SetPublicBlock(block bool, exceptions ...[2]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.publicBlock = publicBlock{block: block, ranges: append([][2]int(nil), exceptions...)}
}
