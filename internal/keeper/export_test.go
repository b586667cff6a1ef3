package keeper

// WithoutMachine makes the store that of a machine without an id.
func (s *Store) WithoutMachine() { s.derived = "" }
