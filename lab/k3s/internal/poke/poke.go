// Package poke says that there is something to look at, once for any number of events.
package poke

// Channel carries at most one poke that nobody has looked at yet.
type Channel chan struct{}

// New makes a channel without a poke in it.
func New() Channel { return make(Channel, 1) }

// Poke asks for a look, unless one is due already.
func (c Channel) Poke() {
	select {
	case c <- struct{}{}:
	default:
	}
}
