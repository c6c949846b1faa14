// Package join holds what the two sides of a join have in common beside their messages.
package join

// Refusal is an error that trying again will not mend.
type Refusal struct{ Reason string }

// Error gives the reason.
func (r Refusal) Error() string { return r.Reason }

// MemberRequest asks for a place in the datastore's cluster.
type MemberRequest struct {
	Node    string
	Member  string
	PeerURL string
}
